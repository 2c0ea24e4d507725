// Lists answers as the address says: #other,wrong,cut shows those of the side of that name that are both.
"use strict";
const NUMBER = new Intl.NumberFormat("en");

function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

// found: of each side, in the order of the form, its answers as the files have them
function view(found) {
  const FIELDS = ["problem", "sample", "question", "options", "gold", "response", "answer", "verdict", "correct", "rule",
    "finish", "tokens", "kinds"];
  const STEP = 100;
  const $ = (id) => document.getElementById(id);
  const form = $("filters"), list = $("answers"), more = $("more"), told = $("told");
  const boxes = [...form.querySelectorAll("[name=kind]")], radios = [...form.querySelectorAll("[name=side]")];
  const names = radios.map((radio) => radio.value);
  const words = Object.fromEntries(radios.map((radio) => [radio.value, radio.parentElement.innerText.trim()]));
  const named = (rows) => rows.map((row) => Object.fromEntries(FIELDS.map((field, i) => [field, row[i]])));
  const sides = Object.fromEntries(names.map((name, i) => [name, named(found[i])]));
  const identity = (one) => JSON.stringify([one.problem, one.sample]);
  if (names.length === 2) {
    const others = new Map(sides[names[1]].map((one) => [identity(one), one]));
    for (const one of sides[names[0]]) {
      const other = others.get(identity(one));
      if (!other) continue;
      [one.other, other.other] = [other, one];
      if (one.correct === other.correct) continue;
      one.change = other.change = one.correct ? "gained" : "lost";
      one.kinds.push("changed");
      other.kinds.push("changed");
    }
  }

  function asked() {
    const given = decodeURIComponent(location.hash.slice(1)).split(",");
    const side = names.find((name) => given.includes(name)) || names[0];
    return { side, kinds: boxes.map((box) => box.value).filter((kind) => given.includes(kind)) };
  }

  function facts(pairs) {
    return element("dl", "", ...pairs.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
  }

  function response(one, side) {
    const text = element("pre", "", one.response);
    text.tabIndex = 0;
    text.setAttribute("role", "region");
    text.setAttribute("aria-label", `${words[side]}'s answer to ${one.problem}, sample ${one.sample}`);
    return element("div", "", element("h2", "", `${words[side]}: ${one.verdict.replaceAll("_", " ")}`),
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

  let listed = [], side = names[0];
  function grow() {
    const from = list.children.length;
    list.append(...listed.slice(from, from + STEP).map((one) => line(one, side)));
    more.hidden = list.children.length >= listed.length;
  }

  function show() {
    const given = asked(), text = form.elements.text.value.toLowerCase();
    side = given.side;
    const all = sides[side];
    for (const radio of radios) radio.checked = radio.value === side;
    for (const box of boxes) {
      box.checked = given.kinds.includes(box.value);
      box.parentElement.querySelector(".n").textContent = NUMBER.format(all.filter((one) => one.kinds.includes(box.value)).length);
    }
    const holds = (one) => [one.problem, one.question, one.response].some((part) => part.toLowerCase().includes(text));
    listed = all.filter((one) => given.kinds.every((kind) => one.kinds.includes(kind)) && (!text || holds(one)));
    told.textContent = `${NUMBER.format(listed.length)} of ${NUMBER.format(all.length)} answers (${words[side]})`;
    list.replaceChildren();
    grow();
  }

  form.addEventListener("change", () => {
    const chosen = radios.find((radio) => radio.checked);
    const parts = chosen && chosen.value !== names[0] ? [chosen.value] : [];
    location.hash = [...parts, ...boxes.filter((box) => box.checked).map((box) => box.value)].join(",");
  });
  form.elements.text.addEventListener("input", show);
  window.addEventListener("hashchange", show);
  more.addEventListener("click", () => {
    const next = list.children.length;
    grow();
    list.children[next].querySelector("summary").focus();
  });
  show();
}

for (const form of document.forms) form.addEventListener("submit", (event) => event.preventDefault());
if (typeof runs === "undefined") view(lists);
