"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const at = (id) => document.getElementById(id);
  const rows = new Map(); // a policy's cells, which stay so that a reader's place stays

  // Whatever the study says becomes a text, never markup.
  function make(name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function draw(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)}%`;
  const wide = (share) => `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;

  function canvas(className) {
    const svg = draw("svg", { class: className, "aria-hidden": "true", focusable: "false" });
    return svg;
  }

  function cell(word, className) {
    const box = make("div", `cell ${className}`);
    box.setAttribute("role", "cell");
    box.append(make("span", "label", word));
    return box;
  }

  function bar(box) {
    const svg = canvas("bar");
    svg.append(draw("rect", { class: "track", width: "100%", height: "100%", rx: 4 }));
    const fill = draw("rect", { class: "fill", width: "0", height: "100%", rx: 4 });
    svg.append(fill);
    const text = make("span", "number");
    box.append(svg, text);
    return (share, words) => {
      fill.setAttribute("width", wide(share ?? 0));
      box.classList.toggle("full", share === 1);
      svg.classList.toggle("none", share === null);
      say(text, words);
    };
  }

  function interval(box, middle) {
    const svg = canvas("interval");
    svg.append(draw("line", { class: "axis", x1: 0, x2: "100%", y1: "50%", y2: "50%" }));
    if (middle) svg.append(draw("line", { class: "even", x1: "50%", x2: "50%", y1: 0, y2: "100%" }));
    const range = draw("line", { class: "range", y1: "50%", y2: "50%" });
    const dot = draw("circle", { class: "dot", cy: "50%", r: 4.5 });
    svg.append(range, dot);
    const text = make("span", "number");
    box.append(svg, text);
    return (one) => {
      svg.classList.toggle("none", one.mean === null);
      if (one.mean === null) return say(text, "nothing yet");
      range.setAttribute("x1", wide(one.low));
      range.setAttribute("x2", wide(one.high));
      dot.setAttribute("cx", wide(one.mean));
      const places = (x) => (100 * x).toFixed(1);
      return say(text, `${places(one.mean)}% [${places(one.low)}, ${places(one.high)}]`);
    };
  }

  function row(one, told) {
    const line = make("div", "row");
    line.setAttribute("role", "row");
    const name = make("div", "cell name");
    name.setAttribute("role", "rowheader");
    const id = make("span", "id", one.id);
    const state = make("span", "state");
    const many = make("span", "many");
    name.append(id, state, many);
    const value = cell(told.value, "value");
    const against = cell("evidence against it", "against");
    const proof = cell("proof the leader beats it", "proof");
    const traffic = cell("traffic", "traffic");
    line.append(name, value, against, proof, traffic);
    const show = {
      value: interval(value, told.kind === "duels"),
      against: bar(against),
      proof: bar(proof),
      traffic: bar(traffic),
    };
    return {
      line,
      update(now) {
        line.classList.toggle("leads", now.leads);
        line.classList.toggle("gone", !now.alive || now.state === "beaten" || now.state === "left");
        say(state, now.state);
        say(many, now.rival ? `${now.many} · strongest rival ${now.rival}` : now.many);
        show.value(now);
        show.against(now.against, now.against === 1 ? "out" : percent(now.against));
        show.proof(now.proof, now.proof === null ? "is the leader" : now.proof === 1 ? "proven" : percent(now.proof));
        show.traffic(now.traffic, now.traffic === null ? "" : percent(now.traffic));
      },
    };
  }

  function facts(told) {
    const list = told.facts.slice();
    list.push(["a minute", told.per_minute === null ? "…" : told.per_minute.toLocaleString("en")]);
    const box = at("facts");
    while (box.children.length > list.length) box.lastChild.remove();
    list.forEach(([word, number], n) => {
      if (!box.children[n]) {
        const pair = make("div");
        pair.append(make("dt"), make("dd"));
        box.append(pair);
      }
      say(box.children[n].firstChild, word);
      say(box.children[n].lastChild, number);
    });
  }

  function warnings(told) {
    const box = at("warnings");
    const list = box.querySelector("ul");
    box.hidden = told.length === 0;
    if ([...list.children].map((item) => item.textContent).join("\n") === told.join("\n")) return;
    list.replaceChildren(...told.map((text) => make("li", "", text)));
  }

  function show(told) {
    document.title = `${told.decided ? "decided" : "undecided"}: ${told.name}`;
    document.body.classList.toggle("decided", told.decided);
    say(at("claim"), told.claim);
    say(at("sure"), [told.sure, told.reason && `${told.reason[0].toUpperCase()}${told.reason.slice(1)}.`].filter(Boolean).join(" "));
    say(at("value-head"), told.value);
    at("board").classList.toggle("duels", told.kind === "duels");
    facts(told);
    warnings(told.warnings);
    const box = at("rows");
    told.policies.forEach((one, n) => {
      if (!rows.has(one.id)) rows.set(one.id, row(one, told));
      const mine = rows.get(one.id);
      mine.update(one);
      if (box.children[n] !== mine.line) box.insertBefore(mine.line, box.children[n] ?? null);
    });
    while (box.children.length > told.policies.length) box.lastChild.remove();
  }

  function pulse(state, word) {
    at("pulse").dataset.state = state;
    say(at("pulse"), word);
  }

  const source = new EventSource("/v1/events");
  source.onopen = () => pulse("live", "live");
  source.onmessage = (event) => {
    pulse("live", "live");
    show(JSON.parse(event.data));
  };
  source.addEventListener("end", () => pulse("lost", "the server has stopped"));
  source.onerror = () => pulse("lost", "no connection, trying again");
})();
