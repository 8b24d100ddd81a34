// The page of Parlour: one room at a time. What is said is kept here until the room has confirmed it.

import { Connection } from "/connection.js";

const $ = (id) => document.getElementById(id);
const FIRST_ROOM = "lounge";
const ROOM = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const KEY = /^[\w-]{16,64}$/;
const LINK = /https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]]/g;
const TYPING_SENT_MS = 2500; // say so at most this often …
const TYPING_SHOWN_MS = 4000; // … and believe it for a little longer
const TOGETHER_MS = 5 * 60_000; // what one person says within this time stands together
const NEAR_PX = 80;
const QUIET_MS = 1000;

const me = remembered();
const state = {
  room: "",
  line: null, // Connection
  link: { name: "connecting" },
  wasLost: false,
  who: null, // as the room calls this browser
  seen: 0, // id of the newest message here
  oldest: null, // id of the first message that the room has
  outbox: [], // { ref, text }, the first to be sent first; the room drops what it has already
  inFlight: null, // the ref that is waiting for its answer: one at a time, so that they keep their order
  isLoading: false, // older messages
  reason: "", // why the room did not let us in
  members: [],
  typing: new Map(), // who → timer
  unread: 0,
  wasAtEnd: true, // when one scrolled last
};

function remembered() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem("parlour")) ?? {};
  } catch {
    // storage is switched off, or somebody wrote something else into it: a new person
  }
  return { key: KEY.test(kept.key) ? kept.key : randomId(), name: typeof kept.name === "string" ? kept.name : "" };
}

function keep(storage, name, value) {
  try {
    window[storage].setItem(name, JSON.stringify(value));
  } catch {
    // then it lasts as long as the page
  }
}

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Rooms

function wantedRoom() {
  const wanted = new URLSearchParams(location.search).get("room") ?? "";
  return ROOM.test(wanted) ? wanted : FIRST_ROOM;
}

function enter(room) {
  state.line?.close();
  for (const timer of state.typing.values()) clearTimeout(timer);
  state.typing.clear();
  Object.assign(state, { room, line: null, seen: 0, oldest: null, inFlight: null, isLoading: false, members: [], unread: 0 });
  try {
    state.outbox = JSON.parse(sessionStorage.getItem(`outbox ${room}`)) ?? [];
  } catch {
    state.outbox = [];
  }
  $("title").textContent = room;
  $("log").replaceChildren(...state.outbox.map(pendingRow));
  renderStart();
  $("newer").hidden = true;
  renderMembers();
  renderTyping();
  renderTitle();
  renderRooms();
  openMenu(false);
  showForm(me.name ? "say" : "enter");
  if (me.name) connect();
  else setLink({ name: "closed" });
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  state.line = new Connection(`${scheme}://${location.host}/rooms/${state.room}/websocket`, {
    opened: join,
    message: hear,
    state: setLink,
  });
}

function join() {
  state.line.send({ kind: "join", key: me.key, name: me.name, seen: state.seen });
}

let rooms = [];
async function loadRooms() {
  try {
    const response = await fetch("/rooms");
    if (response.ok) rooms = (await response.json()).rooms;
  } catch {
    return; // the line is down, and the page says so elsewhere
  }
  renderRooms();
}

function renderRooms() {
  const names = [...new Set([FIRST_ROOM, state.room, ...rooms])];
  $("rooms").replaceChildren(
    ...names.map((name) => {
      const link = element("a", { href: `/?room=${name}` }, name);
      if (name === state.room) link.setAttribute("aria-current", "page");
      return element("li", {}, link);
    }),
  );
}

// What the room tells

function hear(news) {
  switch (news.kind) {
    case "welcome":
      return welcome(news);
    case "said":
      return said(news.message);
    case "older":
      return older(news);
    case "members":
      state.members = news.members;
      for (const who of state.typing.keys()) if (!nameOf(who)) stopTyping(who);
      return renderMembers();
    case "typing":
      return typing(news.who);
    case "forgotten":
      return setOldest(news.oldest);
    case "error":
      return refused(news);
  }
}

function welcome({ you, messages, is_complete: isComplete, oldest }) {
  const stuck = isAtEnd() || !isComplete;
  state.who = you.who;
  keep("localStorage", "parlour", me);
  state.inFlight = null;
  state.isLoading = false;
  state.reason = "";
  if (!isComplete) {
    readNothing();
    for (const row of $("log").querySelectorAll("[data-id]")) row.remove();
  }
  for (const message of messages) {
    settle(message); // the line broke after it had come through, and before we heard of it
    add(message);
  }
  state.line.ready();
  setOldest(oldest);
  if (stuck) toEnd();
  sendNext();
  wantOlder();
}

function said(message) {
  const stuck = isAtEnd();
  const mine = message.who === state.who;
  stopTyping(message.who);
  settle(message);
  add(message);
  state.oldest ??= message.id;
  renderStart();
  if (stuck) toEnd();
  else if (!mine) $("newer").hidden = false;
  if (document.hidden && !mine) {
    state.unread += 1;
    renderTitle();
  }
  sendNext();
}

function older({ messages, oldest }) {
  const scroll = $("scroll");
  const below = scroll.scrollHeight - scroll.scrollTop;
  readNothing();
  state.isLoading = false;
  for (const message of messages) add(message);
  setOldest(oldest);
  scroll.scrollTop = scroll.scrollHeight - below;
  wantOlder();
}

// What comes now is old news: it is there to be read, and is not read out.
let reading = 0;
function readNothing() {
  $("scroll").setAttribute("aria-live", "off");
  clearTimeout(reading);
  reading = setTimeout(() => $("scroll").removeAttribute("aria-live"), QUIET_MS);
}

function wantOlder() {
  const first = Number($("log").querySelector("[data-id]")?.dataset.id);
  if (!first || state.isLoading || !(state.oldest < first) || $("scroll").scrollTop > 300) return;
  state.isLoading = state.line.send({ kind: "older", before: first });
}

function setOldest(oldest) {
  state.oldest = oldest;
  for (const row of $("log").querySelectorAll("[data-id]")) {
    if (oldest !== null && Number(row.dataset.id) >= oldest) break;
    row.remove();
  }
  const first = $("log").firstElementChild;
  if (first) relate(first);
  renderStart();
}

function refused({ code, message, ref, wait_ms: waitMs }) {
  if (code === "room-full") state.reason = message;
  if (code === "bad-name" || code === "no-name") {
    const refusedName = me.name;
    me.name = nameOf(state.who) ?? "";
    showForm("enter");
    $("name").value = refusedName;
    $("name").focus();
    showError("name", message);
  }
  if (!ref || ref !== state.outbox[0]?.ref) return;
  state.inFlight = null;
  if (waitMs) {
    sayError(message);
    setTimeout(() => (sayError(""), sendNext()), waitMs);
    return;
  }
  // It will never be taken: back to its author.
  const { text } = state.outbox[0];
  takeFromOutbox(ref);
  if (!$("text").value) $("text").value = text;
  grow();
  sayError(message);
  sendNext();
}

// Talking

function say(text) {
  const draft = { ref: randomId(), text };
  state.outbox.push(draft);
  keep("sessionStorage", `outbox ${state.room}`, state.outbox);
  $("log").append(pendingRow(draft));
  relate($("log").lastElementChild);
  renderStart();
  toEnd();
  sendNext();
}

function sendNext() {
  const [draft] = state.outbox;
  if (!draft || state.inFlight || state.link.name !== "open") return;
  if (state.line.send({ kind: "say", ...draft })) state.inFlight = draft.ref;
}

function settle({ who, ref }) {
  if (who === state.who && state.outbox.some((draft) => draft.ref === ref)) takeFromOutbox(ref);
}

function takeFromOutbox(ref) {
  state.outbox = state.outbox.filter((draft) => draft.ref !== ref);
  if (state.inFlight === ref) state.inFlight = null;
  keep("sessionStorage", `outbox ${state.room}`, state.outbox);
  $("log").querySelector(`[data-ref="${ref}"]`)?.remove();
}

let typingSentAt = 0;
function tellTyping() {
  if (!$("text").value.trim() || state.outbox.length || state.link.name !== "open") return;
  if (Date.now() - typingSentAt < TYPING_SENT_MS) return;
  typingSentAt = Date.now();
  state.line.send({ kind: "typing" });
}

function typing(who) {
  if (who === state.who) return;
  clearTimeout(state.typing.get(who));
  state.typing.set(who, setTimeout(() => stopTyping(who), TYPING_SHOWN_MS));
  renderTyping();
}

function stopTyping(who) {
  clearTimeout(state.typing.get(who));
  if (state.typing.delete(who)) renderTyping();
}

// Showing

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const nameOf = (who) => state.members.find((member) => member.who === who)?.name;

// Each message once and in order, whichever way it came.
function add(message) {
  const log = $("log");
  let next = log.querySelector("[data-ref]"); // what waits to be sent stays last
  let before = next ? next.previousElementSibling : log.lastElementChild;
  while (before && Number(before.dataset.id) > message.id) [next, before] = [before, before.previousElementSibling];
  if (before && Number(before.dataset.id) === message.id) return;
  const row = messageRow(message);
  log.insertBefore(row, next);
  state.seen = Math.max(state.seen, message.id);
  relate(row);
  if (row.nextElementSibling) relate(row.nextElementSibling);
}

function messageRow({ id, who, name, colour, text }) {
  const at = new Date(id);
  const time = element("time", { datetime: at.toISOString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  const row = element(
    "li",
    { class: "message", "data-id": id, "data-who": who, "data-colour": colour },
    element("p", { class: "by" }, element("b", { dir: "auto" }, name), " ", time),
    element("p", { class: "text", dir: "auto" }, ...linked(text)),
  );
  row.classList.toggle("mine", who === state.who);
  return row;
}

function pendingRow({ ref, text }) {
  return element(
    "li",
    { class: "message mine pending", "data-ref": ref },
    element("p", { class: "text", dir: "auto" }, ...linked(text)),
    element("p", { class: "waits" }, "Not sent yet"),
  );
}

// A row shows its author and day only where they change.
function relate(row) {
  const before = row.previousElementSibling;
  const id = Number(row.dataset.id ?? Date.now());
  const idBefore = before ? Number(before.dataset.id ?? Date.now()) : 0;
  const who = row.dataset.who ?? state.who;
  const day = dayOf(id);
  const isNewDay = !before || dayOf(idBefore) !== day;
  if (isNewDay) row.dataset.day = day;
  else delete row.dataset.day;
  row.classList.toggle("follows", !isNewDay && (before.dataset.who ?? state.who) === who && id - idBefore < TOGETHER_MS);
}

function dayOf(ms) {
  const day = new Date(ms);
  if (day.toDateString() === new Date().toDateString()) return "Today";
  return day.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

function linked(text) {
  const parts = [];
  let end = 0;
  for (const found of text.matchAll(LINK)) {
    parts.push(text.slice(end, found.index), element("a", { href: found[0], target: "_blank", rel: "noopener noreferrer nofollow" }, found[0]));
    end = found.index + found[0].length;
  }
  return [...parts, text.slice(end)];
}

function renderStart() {
  const first = Number($("log").querySelector("[data-id]")?.dataset.id);
  $("start").classList.toggle("alone", !$("log").firstElementChild);
  if (first) $("start").textContent = state.oldest < first ? "Older messages…" : "This is where the conversation begins.";
  else if (!me.name) $("start").textContent = "A room to talk in. Tell us a name, and come in.";
  else $("start").textContent = state.line?.wasReady ? "Nothing has been said here yet. Say hello!" : "";
}

function renderMembers() {
  const { members } = state;
  $("menu-count").textContent = members.length;
  $("people").replaceChildren(
    ...members.map(({ who, name, colour }) => {
      const initial = element("span", { class: "initial", "aria-hidden": "true" }, [...name][0].toUpperCase());
      const you = who === state.who ? [element("small", {}, "you")] : [];
      return element("li", { "data-colour": colour, "data-who": who }, initial, element("span", { class: "name", dir: "auto" }, name), ...you);
    }),
  );
  $("people").classList.toggle("stale", state.link.name !== "open");
}

function renderTyping() {
  const names = [...state.typing.keys()].map((who) => nameOf(who) ?? "Somebody");
  if (!names.length) $("typing").textContent = "";
  else if (names.length === 1) $("typing").textContent = `${names[0]} is typing…`;
  else if (names.length === 2) $("typing").textContent = `${names[0]} and ${names[1]} are typing…`;
  else $("typing").textContent = "Several people are typing…";
}

function renderTitle() {
  document.title = `${state.unread ? `(${state.unread}) ` : ""}${state.room} · Parlour`;
}

// How the connection is: always in words at the top, and read out when it changes (the seconds are not).
function setLink(link) {
  state.link = link;
  $("link").dataset.state = link.name;
  renderLink();
  $("lost").hidden = link.name === "open" || link.name === "closed" || (link.name === "connecting" && !link.failures);
  $("lost-text").textContent =
    state.reason || `${link.name === "offline" ? "You are offline." : "The line is down."} What you write is kept, and sent when we are back.`;
  renderMembers();
  if (link.name === "open") speak(state.wasLost ? "Connected again." : "Connected.");
  else if (link.name === "offline") speak("You are offline.");
  else if (link.name === "waiting") speak("The connection is lost. Reconnecting.");
  state.wasLost = link.name === "offline" || link.name === "waiting" || (link.name === "connecting" && state.wasLost);
}

function speak(text) {
  if ($("spoken").textContent !== text) $("spoken").textContent = text;
}

function renderLink() {
  const { name, retryAt, failures } = state.link;
  if (name === "open") $("link-text").textContent = "Connected";
  else if (name === "offline") $("link-text").textContent = "Offline";
  else if (name === "closed") $("link-text").textContent = "Not connected";
  else if (name === "waiting") $("link-text").textContent = `Reconnecting in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s…`;
  else $("link-text").textContent = failures ? "Reconnecting…" : "Connecting…";
}

function isAtEnd() {
  const { scrollHeight, scrollTop, clientHeight } = $("scroll");
  return scrollHeight - scrollTop - clientHeight < NEAR_PX;
}

function toEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
  $("newer").hidden = true;
}

function showForm(name) {
  $("say").hidden = name !== "say";
  $("enter").hidden = name !== "enter";
  $("rename").hidden = name !== "say";
  if (name === "enter") $("name").value = me.name;
}

function showError(field, message) {
  $(`${field}-error`).textContent = message;
  $(field === "say" ? "text" : field).setAttribute("aria-invalid", Boolean(message));
}
const sayError = (message) => showError("say", message);

function grow() {
  const text = $("text");
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

function openMenu(isOpen) {
  $("menu").setAttribute("aria-expanded", isOpen);
  document.body.classList.toggle("menu-open", isOpen);
}

// What the visitor does

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  sayError("");
  $("text").focus();
  if (!text) return;
  $("text").value = "";
  typingSentAt = 0; // it ended the mark at the others: the next one is news
  grow();
  say(text);
});
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});
$("text").addEventListener("input", () => {
  grow();
  tellTyping();
});

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim().replace(/\s+/g, " ");
  showError("name", name ? "" : "Please tell us a name.");
  if (!name) return $("name").focus();
  me.name = name;
  showForm("say");
  $("text").focus();
  renderStart();
  if (state.line) join();
  else connect();
});
$("rename").addEventListener("click", () => {
  openMenu(false);
  showForm("enter");
  $("name").select();
});

$("go").addEventListener("submit", (event) => {
  event.preventDefault();
  const room = $("room").value.trim().toLowerCase().replace(/[\s_]+/g, "-");
  showError("room", ROOM.test(room) ? "" : "Use letters a–z, digits and hyphens.");
  if (!ROOM.test(room)) return $("room").focus();
  $("room").value = "";
  go(`/?room=${room}`);
  $(me.name ? "text" : "name").focus();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
function go(address) {
  history.pushState(null, "", address);
  if (wantedRoom() !== state.room) enter(wantedRoom());
  else openMenu(false);
}
addEventListener("popstate", () => wantedRoom() !== state.room && enter(wantedRoom()));

$("menu").addEventListener("click", () => openMenu($("menu").getAttribute("aria-expanded") !== "true"));
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !document.body.classList.contains("menu-open")) return;
  openMenu(false);
  $("menu").focus();
});
$("scroll").addEventListener("click", () => openMenu(false));
$("scroll").addEventListener("scroll", () => {
  state.wasAtEnd = isAtEnd();
  if (state.wasAtEnd) $("newer").hidden = true;
  if (state.line) wantOlder();
});
// A keyboard on the screen, a long text, a notice: they take room from the messages, and the end stays in sight.
new ResizeObserver(() => state.wasAtEnd && toEnd()).observe($("scroll"));
$("newer").addEventListener("click", toEnd);
$("retry").addEventListener("click", () => state.line?.retry());

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  state.unread = 0;
  renderTitle();
  loadRooms();
});

// The keyboard of a phone makes the page smaller; where the browser does not, it is done here.
visualViewport?.addEventListener("resize", () => {
  document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
});

setInterval(() => state.link.name === "waiting" && renderLink(), 250);
setInterval(() => document.hidden || loadRooms(), 30_000);
enter(wantedRoom());
loadRooms();
