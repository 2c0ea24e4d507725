// Lists the answers that the page has loaded, as its address says: #base,wrong,cut shows the base model's that are both.
"use strict";
(() => {
  const FIELDS = ["problem", "sample", "question", "options", "gold", "response", "answer", "verdict", "correct", "rule",
    "finish", "tokens", "kinds"];
  const STEP = 100;
  const NUMBER = new Intl.NumberFormat("en");
  const $ = (id) => document.getElementById(id);
  const form = $("filters"), list = $("answers"), more = $("more"), told = $("told");
  const boxes = [...form.querySelectorAll("[name=kind]")], radios = [...form.querySelectorAll("[name=side]")];

  const named = (rows) => rows.map((row) => Object.fromEntries(FIELDS.map((field, i) => [field, row[i]])));
  const sides = {};
  if (typeof tunedAnswers !== "undefined") sides.tuned = named(tunedAnswers);
  if (typeof baseAnswers !== "undefined") sides.base = named(baseAnswers);
  const names = Object.keys(sides);
  const identity = (one) => JSON.stringify([one.problem, one.sample]);
  if (names.length === 2) {
    const base = new Map(sides.base.map((one) => [identity(one), one]));
    for (const one of sides.tuned) {
      const other = base.get(identity(one));
      if (!other) continue;
      [one.other, other.other] = [other, one];
      if (one.correct === other.correct) continue;
      one.change = other.change = one.correct ? "gained" : "lost";
      one.kinds.push("changed");
      other.kinds.push("changed");
    }
  }

  function element(tag, name, ...children) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...children);
    return made;
  }

  function asked() {
    const words = decodeURIComponent(location.hash.slice(1)).split(",");
    const side = names.find((name) => words.includes(name)) || names[0];
    return { side, kinds: boxes.map((box) => box.value).filter((kind) => words.includes(kind)) };
  }

  function facts(pairs) {
    return element("dl", "", ...pairs.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
  }

  function response(one, side) {
    const text = element("pre", "", one.response);
    text.tabIndex = 0;
    text.setAttribute("role", "region");
    text.setAttribute("aria-label", `${side} model's answer to ${one.problem}, sample ${one.sample}`);
    return element("div", "", element("h2", "", `${side} model: ${one.verdict.replaceAll("_", " ")}`),
      facts([["extracted", one.answer ?? "none"], ["rule", one.rule], ["ended", one.finish],
        ["tokens", NUMBER.format(one.tokens)]]), text);
  }

  function whole(one, side) {
    const question = [one.question, ...one.options.map(([letter, text]) => `${letter}. ${text}`)].join("\n");
    const both = { [side]: one };
    if (one.other) both[names.find((name) => name !== side)] = one.other;
    const shown = names.filter((name) => both[name]).map((name) => response(both[name], name));
    return element("div", "whole", facts([["question", question], ["gold", one.gold]]),
      element("div", shown.length > 1 ? "pair" : "", ...shown));
  }

  function line(one, side) {
    const verdict = element("span", one.correct ? "verdict" : "verdict alarm", one.verdict.replaceAll("_", " "));
    const tags = [...one.kinds.filter((kind) => kind === "cut" || kind === "in_circles"), one.change].filter(Boolean);
    const summary = element("summary", "", verdict, element("span", "name", one.problem),
      element("span", "", `sample ${one.sample}`), element("span", "", `${one.answer ?? "none"}, gold ${one.gold}`),
      element("span", "", `${NUMBER.format(one.tokens)} tokens`),
      ...tags.map((tag) => element("span", "tag", tag.replaceAll("_", " "))));
    const details = element("details", "", summary);
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(whole(one, side));
    });
    return element("li", "", details);
  }

  let found = [], side = names[0];
  function grow() {
    const from = list.children.length;
    list.append(...found.slice(from, from + STEP).map((one) => line(one, side)));
    more.hidden = list.children.length >= found.length;
  }

  function show() {
    const words = asked(), text = form.elements.text.value.toLowerCase();
    side = words.side;
    const all = sides[side];
    for (const radio of radios) radio.checked = radio.value === side;
    for (const box of boxes) {
      box.checked = words.kinds.includes(box.value);
      box.parentElement.querySelector(".n").textContent = NUMBER.format(all.filter((one) => one.kinds.includes(box.value)).length);
    }
    const holds = (one) => [one.problem, one.question, one.response].some((part) => part.toLowerCase().includes(text));
    found = all.filter((one) => words.kinds.every((kind) => one.kinds.includes(kind)) && (!text || holds(one)));
    told.textContent = `${NUMBER.format(found.length)} of ${NUMBER.format(all.length)} answers of the ${side} model`;
    list.replaceChildren();
    grow();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    const chosen = radios.find((radio) => radio.checked);
    const words = chosen && chosen.value !== names[0] ? [chosen.value] : [];
    location.hash = [...words, ...boxes.filter((box) => box.checked).map((box) => box.value)].join(",");
  });
  form.elements.text.addEventListener("input", show);
  window.addEventListener("hashchange", show);
  more.addEventListener("click", () => {
    const next = list.children.length;
    grow();
    list.children[next].querySelector("summary").focus();
  });
  show();
})();
