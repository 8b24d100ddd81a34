// The page of Lantern Hall: one show at a time, kept up to date by a request that waits for news.

const $ = (id) => document.getElementById(id);
const RETRY_MS_MAX = 3000;
const ANSWER_MS_MAX = 25_000; // a waiting request answers within 10 s; later than this, the line is dead
const TOAST_MS = 6000;

const state = {
  programme: null, // shows, hall, hold_s, seats_max
  show: null, // id of the show on the page
  view: null, // what the show's object last told us
  endsAt: 0, // when the hold is over, on this page's own clock
  pending: new Set(), // seats with an unanswered request
  watching: null, // AbortController of the waiting request
};
const tab = tabId();
const seatButtons = new Map();

// Seats are held for a tab, so that two tabs of one browser cannot take each other's seats unseen.
function tabId() {
  try {
    const known = sessionStorage.getItem("tab") ?? randomId();
    sessionStorage.setItem("tab", known);
    return known;
  } catch {
    return randomId(); // storage is switched off: a reload is then a new tab
  }
}

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Requests

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}
class LineDown extends Error {}

async function ask(path, { body, signal } = {}) {
  const limit = AbortSignal.timeout(ANSWER_MS_MAX);
  const options = { signal: signal ? AbortSignal.any([signal, limit]) : limit };
  if (body) {
    options.method = "POST";
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify({ tab, ...body });
  }
  let response, answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (cause) {
    throw new LineDown("no answer", { cause });
  }
  if (response.ok) return answer;
  if (response.status < 500 && answer?.message) throw new Refusal(response.status, answer.error, answer.message);
  throw new LineDown(`status ${response.status}`);
}

async function loadProgramme(signal) {
  state.programme = await ask(`/api/shows?tab=${tab}`, { signal });
  renderShows();
}

// Stay in touch with the chosen show until another one is chosen or the page is hidden.
async function watch() {
  state.watching?.abort();
  const { signal } = (state.watching = new AbortController());
  let failures = 0;
  let fresh = true; // ask for an answer at once: on arrival and after each failure
  while (!signal.aborted) {
    try {
      if (!state.programme || failures) await loadProgramme(signal);
      if (!state.show) choose(wantedShow());
      const seen = fresh ? "" : state.view.version;
      const view = await ask(`/api/shows/${state.show}?tab=${tab}&seen=${seen}`, { signal });
      if (signal.aborted) return;
      take(view, { fresh });
      failures = 0;
      fresh = false;
      setLink("live");
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof LineDown)) console.error(error);
      fresh = true;
      setLink("lost");
      await pause(Math.min(RETRY_MS_MAX, 250 * 2 ** failures++), signal);
    }
  }
}

function pause(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    const now = () => (clearTimeout(timer), done());
    signal.addEventListener("abort", now, { once: true });
    $("retry").addEventListener("click", now, { once: true });
    addEventListener("online", now, { once: true });
  });
}

// Send a visitor's wish, show what came of it. Returns the answer, or null if it was refused or lost.
async function act(action, body) {
  const show = state.show;
  try {
    const view = await ask(`/api/shows/${show}/${action}`, { body });
    if (show === state.show) take(view);
    return view;
  } catch (error) {
    if (error instanceof Refusal) say(error.message, "no");
    else say("The box office did not answer, so we cannot tell yet whether that worked. The plan shows it once we are back.", "no");
    return null;
  }
}

// State

function take(view, { fresh = false } = {}) {
  const before = state.view;
  if (before && !fresh && view.version < before.version) return; // an older answer that was overtaken
  const timeWasUp = before?.hold && !view.hold && state.endsAt - performance.now() < 1000;
  state.view = view;
  if (view.hold) state.endsAt = performance.now() + view.hold.left_s * 1000;
  if (timeWasUp) {
    const seats = before.hold.seats.filter((seat) => view.seats[seat] !== "yours");
    if (seats.length) say(`Your time is up: ${list(seats)} ${seats.length > 1 ? "are" : "is"} free again.`, "no");
  }
  const here = state.programme.shows.find((show) => show.id === state.show);
  here.free = view.free;
  here.held = view.hold?.seats.length ?? 0;
  here.yours = view.bookings.reduce((sum, booking) => sum + booking.seats.length, 0);
  render();
}

function wantedShow() {
  const wanted = new URLSearchParams(location.search).get("show");
  const { shows } = state.programme;
  return (shows.find((show) => show.id === wanted) ?? shows[0]).id;
}

function choose(id) {
  state.show = id;
  state.view = null;
  state.pending.clear();
  $("seats").setAttribute("aria-busy", "true");
  const show = state.programme.shows.find((each) => each.id === id);
  document.title = `${show.title} · Lantern Hall`;
  $("title").textContent = show.title;
  $("when").textContent = `${show.day} ${show.time}`;
  $("about").textContent = show.about;
  renderShows();
  buildSeats();
}

const bandOf = (seat) => state.programme.hall.bands.find((band) => band.rows.includes(seat[0]));
const priceOf = (seat) => bandOf(seat).price;

// Rendering: the seats are built once and changed in place, so focus and scroll stay where they are.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function renderShows() {
  const { shows } = state.programme;
  const nav = $("shows");
  if (nav.children.length !== shows.length) {
    nav.replaceChildren(
      ...shows.map((show) =>
        element(
          "a",
          { href: `?show=${show.id}`, "data-show": show.id, "aria-label": "" },
          element("strong", {}, show.title),
          element("span", { class: "day" }, element("span", {}, show.day.slice(0, 3), element("i", {}, show.day.slice(3))), ` ${show.time}`),
          element("span", { class: "tally" }),
        ),
      ),
    );
  }
  for (const show of shows) {
    const link = nav.querySelector(`[data-show="${show.id}"]`);
    const free = show.free ? `${show.free} free` : "Sold out";
    const own = show.held ? `${show.held} held` : show.yours ? `${show.yours} yours` : "";
    link.querySelector(".tally").replaceChildren(...(own ? [element("b", {}, own)] : []), element("span", {}, free));
    link.setAttribute("aria-label", [show.title, `${show.day} ${show.time}`, own, free].filter(Boolean).join(", "));
    if (show.id === state.show) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function buildSeats() {
  if (seatButtons.size) return;
  const { bands, seats_per_row: width } = state.programme.hall;
  const parts = [];
  for (const band of bands) {
    parts.push(element("p", { class: "band" }, element("b", {}, band.name), `€${band.price}`));
    for (const letter of band.rows) {
      const row = element("div", { class: "row" }, element("span", { class: "letter", "aria-hidden": "true" }, letter));
      for (let number = 1; number <= width; number++) {
        const seat = `${letter}${number}`;
        const button = element("button", { type: "button", class: "seat", "data-seat": seat, tabindex: "-1" }, `${number}`);
        if (number === width / 2 + 1) button.classList.add("after-aisle");
        button.style.setProperty("--bend", ((number - (width + 1) / 2) ** 2).toFixed(2));
        seatButtons.set(seat, button);
        row.append(button);
      }
      row.append(element("span", { class: "letter", "aria-hidden": "true" }, letter));
      for (const end of row.querySelectorAll(".letter")) end.style.setProperty("--bend", ((width - 1) / 2) ** 2);
      parts.push(row);
    }
  }
  $("seats").replaceChildren(...parts);
  seatButtons.values().next().value.tabIndex = 0;
}

const SPOKEN = { free: "free", mine: "held by you", held: "held by somebody else", sold: "sold", yours: "booked by you" };

function render() {
  const { view } = state;
  $("seats").setAttribute("aria-busy", "false");
  for (const [seat, button] of seatButtons) {
    const is = view.seats[seat] ?? "free";
    button.dataset.state = is;
    button.toggleAttribute("data-pending", state.pending.has(seat));
    button.setAttribute("aria-label", `Row ${seat[0]}, seat ${seat.slice(1)}, €${priceOf(seat)}, ${SPOKEN[is]}`);
    button.setAttribute("aria-pressed", is === "mine");
  }
  renderShows();
  renderBasket();
  renderTickets();
  renderClock();
}

function renderBasket() {
  const seats = state.view.hold?.seats ?? [];
  const total = seats.reduce((sum, seat) => sum + priceOf(seat), 0);
  const count = `${seats.length} ${seats.length === 1 ? "seat" : "seats"}`;
  $("book").hidden = $("clock").hidden = $("bar").hidden = !seats.length;
  $("basket-empty").hidden = Boolean(seats.length);
  $("basket-empty").textContent = state.view.free
    ? `Choose up to ${state.programme.seats_max} seats on the plan. We hold them for ${duration(state.programme.hold_s)} while you decide.`
    : "Every seat is taken. If one is let go or cancelled, it is free here at once.";
  $("total").textContent = `€${total}`;
  $("confirm").textContent = `Book ${count} for €${total}`;
  $("bar-seats").textContent = `${list(seats)}, €${total}`;
  if ($("picked").dataset.seats === seats.join()) return;
  $("picked").dataset.seats = seats.join();
  $("picked").replaceChildren(
    ...seats.map((seat) => {
      const remove = element("button", { type: "button", "aria-label": `Let seat ${seat} go`, "data-release": seat }, "×");
      const place = element("span", {}, element("b", {}, seat), element("small", {}, bandOf(seat).name));
      return element("li", {}, place, element("span", {}, `€${priceOf(seat)}`), remove);
    }),
  );
}

function renderTickets(fresh) {
  const { bookings } = state.view;
  $("bookings").hidden = !bookings.length;
  const shown = JSON.stringify(bookings);
  if ($("tickets").dataset.shown !== shown) {
    $("tickets").dataset.shown = shown;
    $("tickets").replaceChildren(
      ...bookings.map((booking) =>
        element(
          "li",
          { class: "ticket", "data-code": booking.code },
          element("p", {}, element("strong", {}, list(booking.seats)), element("span", {}, `For ${booking.name}`)),
          element("div", { class: "stub" }, element("strong", {}, booking.code), cancelButton(booking.code)),
        ),
      ),
    );
  }
  if (fresh) $("tickets").querySelector(`[data-code="${fresh}"]`)?.classList.add("new");
}

function cancelButton(code) {
  return element("button", { type: "button", "data-cancel": code, "aria-label": `Cancel booking ${code}` }, "Cancel");
}

let lastSpoken = Infinity;
function renderClock() {
  if (!state.view?.hold) {
    $("burn").style.transform = "scaleX(0)";
    document.body.classList.remove("hurry");
    lastSpoken = Infinity;
    return;
  }
  const left = Math.max(0, state.endsAt - performance.now()) / 1000;
  const shown = Math.ceil(left);
  const text = `${Math.floor(shown / 60)}:${String(shown % 60).padStart(2, "0")}`;
  $("clock-text").textContent = text;
  $("bar-clock").textContent = `Held for ${text}`;
  $("burn").style.transform = `scaleX(${Math.min(1, left / state.programme.hold_s)})`;
  document.body.classList.toggle("hurry", left < 20);
  const due = [10, 30, 60].find((mark) => shown <= mark);
  if (due < lastSpoken) {
    lastSpoken = due;
    $("spoken").textContent = `${duration(shown)} left to book your seats`;
  }
}

function setLink(now) {
  const text = { live: "Live", lost: "Reconnecting…", wait: "Connecting…" }[now];
  $("link").dataset.state = now;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
  $("seats").toggleAttribute("data-stale", now === "lost");
  $("away").hidden = !(now === "lost" && !seatButtons.size);
}

let toastTimer;
function say(message, kind) {
  $("toast").textContent = message;
  $("toast").dataset.kind = kind;
  $("toast").classList.add("on");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("on"), TOAST_MS);
}

function list(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function duration(seconds) {
  if (seconds % 60) return `${seconds} seconds`;
  return seconds === 60 ? "one minute" : `${seconds / 60} minutes`.replace(/^2 /, "two ");
}

// What the visitor does

async function toggle(seat) {
  if (state.pending.has(seat) || !state.view) return;
  const button = seatButtons.get(seat);
  state.pending.add(seat);
  button.toggleAttribute("data-pending", true);
  const done = await act(state.view.seats[seat] === "mine" ? "release" : "hold", { seats: [seat] });
  state.pending.delete(seat);
  button.removeAttribute("data-pending");
  if (!done) {
    button.toggleAttribute("data-refused", true);
    setTimeout(() => button.removeAttribute("data-refused"), 400);
  }
}

$("seats").addEventListener("click", (event) => {
  const button = event.target.closest("[data-seat]");
  if (!button) return;
  makeCurrent(button);
  toggle(button.dataset.seat);
});

// One seat of the plan is in the tab order; the arrow keys choose which.
function makeCurrent(button) {
  $("seats").querySelector('[tabindex="0"]').tabIndex = -1;
  button.tabIndex = 0;
}

$("seats").addEventListener("keydown", (event) => {
  const from = event.target.closest("[data-seat]");
  const { bands, seats_per_row: width } = state.programme.hall;
  const rows = bands.map((band) => band.rows).join("");
  if (!from || event.ctrlKey || event.metaKey || event.altKey) return;
  let row = rows.indexOf(from.dataset.seat[0]);
  let number = Number(from.dataset.seat.slice(1));
  if (event.key === "ArrowLeft") number--;
  else if (event.key === "ArrowRight") number++;
  else if (event.key === "ArrowUp") row--;
  else if (event.key === "ArrowDown") row++;
  else if (event.key === "Home") number = 1;
  else if (event.key === "End") number = width;
  else return;
  event.preventDefault();
  const to = seatButtons.get(`${rows[row]}${number}`);
  if (!to) return;
  makeCurrent(to);
  to.focus();
});

$("picked").addEventListener("click", async (event) => {
  const seat = event.target.closest("[data-release]")?.dataset.release;
  if (!seat) return;
  await toggle(seat);
  ($("picked").querySelector("button") ?? seatButtons.get(seat)).focus({ preventScroll: true });
});

$("book").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  nameError(name ? "" : "Please tell us a name for the booking.");
  if (!name) return $("name").focus();
  if ($("confirm").getAttribute("aria-busy") === "true") return;
  $("confirm").setAttribute("aria-busy", "true");
  const view = await act("book", { name, seats: state.view.hold?.seats ?? [] });
  $("confirm").removeAttribute("aria-busy");
  if (!view) return;
  say(`Booked. Your code is ${view.booked}. See you on ${$("when").textContent}!`, "ok");
  renderTickets(view.booked);
  $("bookings-title").focus();
});

$("name").addEventListener("input", () => nameError(""));
function nameError(message) {
  $("name-error").textContent = message;
  $("name").setAttribute("aria-invalid", Boolean(message));
}

$("tickets").addEventListener("click", async (event) => {
  const button = event.target.closest("[data-cancel]");
  if (!button) return;
  if (!button.classList.contains("sure")) {
    // Asked twice, in place: the second press within four seconds means it.
    button.classList.add("sure");
    button.textContent = "Really cancel?";
    setTimeout(() => (button.classList.remove("sure"), (button.textContent = "Cancel")), 4000);
    return;
  }
  const seats = state.view.bookings.find((booking) => booking.code === button.dataset.cancel)?.seats ?? [];
  if (await act("cancel", { code: button.dataset.cancel })) say(`Cancelled. ${list(seats)} can be booked by others now.`, "ok");
});

$("bar-go").addEventListener("click", () => {
  $("basket").scrollIntoView({ behavior: "smooth", block: "start" });
  $("name").focus({ preventScroll: true });
});

$("shows").addEventListener("click", (event) => {
  const link = event.target.closest("[data-show]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.dataset.show === state.show) return;
  history.pushState(null, "", link.href);
  goToWanted();
});

function goToWanted() {
  if (state.programme) choose(wantedShow());
  watch();
}

addEventListener("popstate", goToWanted);

// On a phone the bar leads to the form; it leaves when the form is there.
new IntersectionObserver(([form]) => $("bar").classList.toggle("there", form.isIntersecting)).observe($("confirm"));

// A hidden page holds no request open: a browser allows only six to one host, over all its tabs.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) state.watching?.abort();
  else watch();
});

setInterval(renderClock, 250);
setInterval(() => {
  if (!document.hidden && $("link").dataset.state === "live") loadProgramme().catch(() => {});
}, 15_000);
watch();
