"use strict";
(() => {
  const root = document.documentElement;
  const body = document.body;
  const side = Number(body.dataset.side);
  const slider = document.getElementById("zoom");
  const smallest = Number(slider.min);
  const largest = Number(slider.max);
  const cells = [...document.querySelectorAll(".cell")];
  let size = side;

  // Scrolls so that the cell at (x, y) stays there.
  function zoomTo(pixels, x = innerWidth / 2, y = innerHeight / 2) {
    const element = document.elementFromPoint(x, y);
    const cell = (element && element.closest(".cell")) || nearestCell(y);
    const before = cell && cell.getBoundingClientRect();
    size = Math.min(largest, Math.max(smallest, pixels));
    root.style.setProperty("--cell", `${size}px`);
    slider.value = String(Math.round(size));
    if (!cell) return;
    const after = cell.getBoundingClientRect();
    const fraction = (y - before.top) / before.height;
    scrollBy(0, after.top + fraction * after.height - y);
  }

  function nearestCell(y) {
    let nearest = null;
    let least = Infinity;
    for (const cell of cells) {
      const box = cell.getBoundingClientRect();
      const distance = Math.abs(box.top + box.height / 2 - y);
      if (box.height && distance < least) [nearest, least] = [cell, distance];
    }
    return scrollY > 0 ? nearest : null;
  }

  slider.addEventListener("input", () => zoomTo(Number(slider.value)));
  document.getElementById("in").addEventListener("click", () => zoomTo(size * 1.25));
  document.getElementById("out").addEventListener("click", () => zoomTo(size / 1.25));

  // The wheel alone scrolls; touchpads send a pinch as Ctrl and wheel.
  addEventListener(
    "wheel",
    (event) => {
      if (!(event.ctrlKey || event.metaKey) || large.open) return;
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? 16 * event.deltaY : event.deltaY;
      zoomTo(size * Math.exp(-pixels / 300), event.clientX, event.clientY);
    },
    { passive: false },
  );

  let distance = 0;
  const distanceOf = (touches) =>
    Math.hypot(
      touches[0].clientX - touches[1].clientX,
      touches[0].clientY - touches[1].clientY,
    );
  addEventListener("touchstart", (event) => {
    if (event.touches.length === 2) distance = distanceOf(event.touches);
  });
  addEventListener(
    "touchmove",
    (event) => {
      if (event.touches.length !== 2 || !distance || large.open) return;
      event.preventDefault();
      const [a, b] = event.touches;
      const now = distanceOf(event.touches);
      zoomTo((size * now) / distance, (a.clientX + b.clientX) / 2, (a.clientY + b.clientY) / 2);
      distance = now;
    },
    { passive: false },
  );

  // Search: every word must be in the layer's name, the label or the objective.
  const find = document.getElementById("find");
  const count = document.getElementById("count");
  const noMatch = document.getElementById("no-match");
  const links = [...document.querySelectorAll("nav a")];
  const sections = [...document.querySelectorAll("section")];
  const texts = new Map(
    cells.map((cell) => [
      cell,
      `${cell.closest("section").querySelector("h2").firstChild.data.trim()} ` +
        `${cell.textContent} ${cell.dataset.objective}`,
    ]),
  );
  for (const [cell, text] of texts) texts.set(cell, text.toLowerCase());

  function search() {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const [cell, text] of texts) {
      cell.hidden = !words.every((word) => text.includes(word));
      if (!cell.hidden) shown += 1;
    }
    sections.forEach((section, index) => {
      section.hidden = !section.querySelector(".cell:not([hidden])");
      if (links[index]) links[index].hidden = section.hidden;
    });
    noMatch.hidden = shown > 0;
    count.value = words.length ? `${shown} of ${cells.length}` : `${cells.length} cells`;
  }
  find.addEventListener("input", search);
  find.form.addEventListener("submit", (event) => event.preventDefault());
  search();

  // One cell enlarged, with its objective and a command.
  const large = document.getElementById("large");
  const part = (name) => large.querySelector(name);
  const stage = part(".stage");
  const picture = part(".stage img");
  let current = null;
  let view = { scale: 1, x: 0, y: 0 };

  function move() {
    const room = stage.clientWidth * (view.scale - 1);
    view.x = Math.min(0, Math.max(-room, view.x));
    view.y = Math.min(0, Math.max(-room, view.y));
    picture.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  }

  function magnify(factor, x, y) {
    const box = stage.getBoundingClientRect();
    const [left, top] = [x - box.left, y - box.top];
    const scale = Math.min(16, Math.max(1, view.scale * factor));
    const ratio = scale / view.scale;
    view = { scale, x: left - (left - view.x) * ratio, y: top - (top - view.y) * ratio };
    move();
  }

  const quoted = (text) =>
    /^[\w.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

  function show(cell) {
    current = cell;
    const objective = cell.dataset.objective;
    const source = cell.querySelector("img");
    picture.src = source.src;
    picture.alt = source.alt;
    part("h2").textContent = objective;
    part(".objective").value = objective;
    part(".command").value =
      `dream PHOTO --network ${quoted(body.dataset.network)} --objective ${quoted(objective)}`;
    part(".silent").hidden = !("silent" in cell.dataset);
    view = { scale: 1, x: 0, y: 0 };
    move();
    if (!large.open) large.showModal();
  }

  function go(by) {
    const visible = cells.filter((cell) => !cell.hidden);
    const next = visible[visible.indexOf(current) + by];
    if (next) show(next);
  }

  async function copy(field, button) {
    const input = part(field);
    let done = false;
    try {
      await navigator.clipboard.writeText(input.value);
      done = true;
    } catch {
      // Some browsers do not let pages from files write to the clipboard.
      input.select();
      done = document.execCommand("copy");
    }
    const label = button.textContent;
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = label; }, 1200);
  }

  for (const cell of cells) cell.addEventListener("click", () => show(cell));
  part(".close").addEventListener("click", () => large.close());
  part(".previous").addEventListener("click", () => go(-1));
  part(".next").addEventListener("click", () => go(1));
  part(".copy").addEventListener("click", (event) => copy(".objective", event.currentTarget));
  part(".copy-command").addEventListener("click", (event) =>
    copy(".command", event.currentTarget),
  );
  large.addEventListener("click", (event) => {
    if (event.target === large) large.close();
  });
  large.addEventListener("close", () => {
    if (current) current.focus({ preventScroll: false });
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      magnify(Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
    },
    { passive: false },
  );
  stage.addEventListener("dblclick", (event) =>
    magnify(view.scale > 1 ? 0 : 3, event.clientX, event.clientY),
  );

  const pointers = new Map();
  stage.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    if (pointers.size === 2) {
      const other = [...pointers.values()].find((f) => f.pointerId !== event.pointerId);
      const distanceTo = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      magnify(
        distanceTo(event) / Math.max(1, distanceTo(last)),
        (event.clientX + other.clientX) / 2,
        (event.clientY + other.clientY) / 2,
      );
    } else {
      view.x += event.clientX - last.clientX;
      view.y += event.clientY - last.clientY;
      move();
    }
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }

  addEventListener("keydown", (event) => {
    if (event.target === find) {
      if (event.key === "Escape") { find.value = ""; search(); find.blur(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (large.open) {
      const box = stage.getBoundingClientRect();
      const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
      if (event.target.readOnly && event.key.startsWith("Arrow")) return;
      if (event.key === "ArrowLeft") go(-1);
      else if (event.key === "ArrowRight") go(1);
      else if (event.key === "+" || event.key === "=") magnify(1.25, x, y);
      else if (event.key === "-") magnify(0.8, x, y);
      else if (event.key === "0") magnify(0, x, y);
      return;
    }
    if (event.key === "+" || event.key === "=") zoomTo(size * 1.25);
    else if (event.key === "-") zoomTo(size / 1.25);
    else if (event.key === "0") zoomTo(side);
    else if (event.key === "/") { event.preventDefault(); find.focus(); }
  });

  zoomTo(Math.min(side, most));
})();
