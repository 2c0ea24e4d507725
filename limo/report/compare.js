// The answers of two runs of this report to a benchmark, as the address says: ?benchmark=main&run=limo-0&other=random-0
"use strict";
(() => {
  const form = document.getElementById("chosen"), told = document.getElementById("told");
  const given = new URLSearchParams(location.search);
  const named = (key, but) => runs.find(([name]) => name === given.get(key)) || runs.find((run) => run !== but);
  const run = named("run"), other = named("other", run);
  const shared = run[2].map(([name]) => name).filter((name) => other[2].some(([theirs]) => theirs === name));
  const benchmark = shared.includes(given.get("benchmark")) ? given.get("benchmark") : shared[0];

  function offer(key, options, chosen) {
    const select = form.elements[key];
    select.append(...options.map(([value, words]) => new Option(words, value, false, value === chosen)));
    select.addEventListener("change", () => {
      location.href = `?${new URLSearchParams(new FormData(form))}#changed`;
    });
  }
  offer("run", runs, run[0]);
  offer("other", runs, other[0]);
  offer("benchmark", shared.map((name) => [name, name]), benchmark);
  [run, other].forEach(([, words], i) => {
    document.querySelectorAll("[name=side] ~ span")[i].textContent = words;
  });

  function load(rest) {
    if (!rest.length) return view(lists);
    const script = element("script");
    script.src = rest[0][2].find(([name]) => name === benchmark)[1];
    script.addEventListener("load", () => load(rest.slice(1)));
    document.head.append(script);
  }
  if (benchmark) load([run, other]);
  else told.textContent = "These runs share no benchmark whose answers were kept.";
})();
