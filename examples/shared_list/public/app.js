// The page: what the list calls (Listener), what it calls of the list (seat), and what is shown.

import { RpcTarget } from "./vendor/capnweb.js";
import { Connection } from "./connection.js";

const $ = (id) => document.getElementById(id);
const LIST = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;
const asked = new URLSearchParams(location.search).get("list") ?? "home";
const list = LIST.test(asked) ? asked : "home";
const items = new Map(); // id → item, in the order of the list
const pending = new Map(); // id → text: what was added here and not confirmed yet
let seat = null;
let connection = null;

document.title = `${list} · Larder`;
$("title").textContent = list[0].toUpperCase() + list.slice(1).replaceAll("-", " ");

/** Its methods are called by the list, on the server. */
class Listener extends RpcTarget {
  constructor(lost) {
    super();
    this[Symbol.dispose] = lost; // the list was reset, and let go of us
  }
  shown(all) {
    items.clear();
    for (const item of all) items.set(item.id, item), pending.delete(item.id);
    show();
  }
  changed(item) {
    const before = items.get(item.id);
    items.set(item.id, item);
    pending.delete(item.id);
    if (item.by !== name()) say(before ? `${item.by} changed ${item.text}` : `${item.by} added ${item.text}`);
    show(item.id);
  }
  removed(ids) {
    for (const id of ids) items.delete(id), pending.delete(id);
    show();
  }
  people(names) {
    $("people").replaceChildren(...names.slice(0, 6).map(initial));
    $("people").dataset.count = names.length;
  }
}

// Both calls, and the answer to the second, are one round trip: join() goes along before open() has answered.
async function join(api, lost) {
  seat = await api.open(list).join(name(), new Listener(lost));
  for (const [id, text] of pending) seat.add(id, text).catch(refused(id));
}

function connected({ name, retryAt }) {
  clearInterval(connected.timer);
  if (name !== "open") seat = null;
  $("link").dataset.state = name;
  const tell = () => {
    const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
    $("link-text").textContent = { open: "Connected", connecting: "Connecting…", waiting: `Reconnecting in ${seconds} s…` }[name];
  };
  tell();
  if (name === "waiting") connected.timer = setInterval(tell, 500);
  if (name !== "open") $("people").replaceChildren();
}

const name = () => localStorage.getItem("name") ?? "";

function start() {
  $("enter").hidden = true;
  $("add").hidden = false;
  show();
  connection = new Connection(`${location.origin.replace(/^http/, "ws")}/api`, join, connected);
}

/** Ask the list for something; what it refuses is told below the field. */
async function ask(what) {
  $("add-error").textContent = "";
  if (!seat) return void ($("add-error").textContent = "Not connected. We try again by ourselves.");
  try {
    await what(seat);
  } catch (error) {
    if (seat) $("add-error").textContent = error.message;
  }
}

const refused = (id) => (error) => {
  if (!seat) return; // the line broke: it is asked again
  pending.delete(id);
  $("add-error").textContent = error.message;
  show();
};

$("enter").onsubmit = (event) => {
  event.preventDefault();
  const given = $("name").value.trim();
  $("name").ariaInvalid = String(!given);
  $("name-error").textContent = given ? "" : "Please tell us a name.";
  if (!given) return $("name").focus();
  localStorage.setItem("name", given);
  start();
  $("text").focus();
};

$("add").onsubmit = (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  $("add-error").textContent = "";
  if (!text) return $("text").focus();
  const id = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  pending.set(id, text);
  $("text").value = "";
  show();
  seat?.add(id, text).catch(refused(id));
};

$("clear").onclick = () => ask((seat) => seat.clear());

// --- what is shown ----------------------------------------------------------------------------------------

function show(fresh) {
  const all = [...items.values()];
  const waiting = [...pending].map(([id, text]) => ({ id, text, done: false, by: name(), pending: true }));
  draw($("open"), [...all.filter((item) => !item.done), ...waiting], fresh);
  const done = all.filter((item) => item.done);
  draw($("done"), done, fresh);
  $("done-part").hidden = !done.length;
  $("done-count").textContent = `${done.length} done`;
  $("empty").hidden = all.length + waiting.length > 0 || !connection;
}

/** Bring the rows of a part up to date; one that somebody is writing in stays as it is. */
function draw(part, wanted, fresh) {
  const rows = new Map([...part.children].map((row) => [row.dataset.id, row]));
  wanted.forEach((item, at) => {
    const old = rows.get(item.id);
    rows.delete(item.id);
    const key = JSON.stringify(item);
    let row = old;
    if (!old || (old.dataset.key !== key && !old.contains(document.activeElement?.closest("input.what")))) {
      row = rowOf(item);
      row.dataset.key = key;
      if (item.id === fresh) row.classList.add("fresh");
      const focused = old?.contains(document.activeElement) && document.activeElement.className;
      old?.replaceWith(row);
      if (focused) row.querySelector(`.${focused}`)?.focus();
    }
    if (part.children[at] !== row) part.insertBefore(row, part.children[at] ?? null);
  });
  for (const row of rows.values()) row.remove();
}

function rowOf(item) {
  const row = element("li", { className: item.pending ? "pending" : "" });
  row.dataset.id = item.id;
  const tick = element("input", { type: "checkbox", className: "tick", checked: item.done, disabled: item.pending === true, ariaLabel: item.text });
  tick.onchange = () => ask((seat) => seat.tick(item.id, tick.checked)).then(() => (tick.checked = items.get(item.id)?.done ?? false));
  const what = element("button", { type: "button", className: "what", textContent: item.text, title: "Change it" });
  if (item.by) what.append(element("small", { textContent: item.pending ? "waits for a connection" : item.by }));
  what.onclick = () => !item.pending && write(item, what);
  const off = element("button", { type: "button", className: "off", textContent: "×", ariaLabel: `Remove ${item.text}`, disabled: item.pending === true });
  off.onclick = () => ask((seat) => seat.remove(item.id));
  row.append(tick, what, off);
  return row;
}

/** Let an item be written anew in its place: Enter or leaving keeps it, Escape does not. */
function write(item, what) {
  const field = element("input", { className: "what", value: item.text, maxLength: 120, ariaLabel: `Change ${item.text}` });
  let over = false;
  const end = (keeps) => {
    if (over) return;
    over = true;
    field.replaceWith(what);
    const text = field.value.trim();
    if (keeps && text && text !== item.text) ask((seat) => seat.edit(item.id, text));
    show();
  };
  field.onkeydown = ({ key }) => {
    if (key === "Enter") end(true);
    else if (key === "Escape") end(false);
  };
  field.onblur = () => end(true);
  what.replaceWith(field);
  field.focus();
  field.select();
}

const initial = (who) => element("li", { textContent: [...who][0].toUpperCase(), title: who, ariaLabel: who });
const element = (kind, with_) => Object.assign(document.createElement(kind), with_);
const say = (text) => ($("spoken").textContent = text);

if (name()) start();
else {
  $("enter").hidden = false;
  $("name").focus();
}
