// The page: shows the room, takes what is typed. What the connection does is in connection.js.

import { Connection } from "./connection.js";

const AT_BOTTOM_PX = 80;
const SAME_BREATH_MS = 5 * 60_000;
const WARN_LEFT = 200;
const STATES = {
  connecting: "Connecting …",
  open: "Connected",
  waiting: "Connection lost. Trying again …",
  refused: "Not let in",
  closed: "Not connected",
};

const actorUrl = location.pathname.slice(0, location.pathname.lastIndexOf("/http/"));
const roomName = decodeURIComponent(actorUrl.slice(actorUrl.lastIndexOf("/") + 1));
const $ = (id) => document.getElementById(id);

let connection = null;
let myName = sessionStorage.getItem("name");
let shownIds = new Set();
let lastShown = null;
let here = null;
let textMax = Infinity;

// Coming in.

function askName(reason = "") {
  showNotice($("name-notice"), reason);
  $("name").value = myName ?? localStorage.getItem("name") ?? "";
  if (!$("entrance").open) $("entrance").showModal();
  $("name").select();
}

function enter(name) {
  connection?.close();
  myName = name;
  connection = new Connection(`${actorUrl}/connect`, { name }, showState);
  connection.on("said", showMessage);
  connection.on("here", showHere);
  connection.open();
}

async function showState(state, error) {
  $("status").textContent = STATES[state];
  $("status").dataset.state = state;
  $("send").disabled = state !== "open";
  if (state === "refused") askName(error.message);
  if (state === "open") await showRoom(connection);
}

async function showRoom(opened) {
  try {
    const room = await opened.call("enter");
    textMax = room.text_characters_max;
    sessionStorage.setItem("name", myName);
    localStorage.setItem("name", myName);
    $("entrance").close();
    room.messages.forEach(showMessage);
    here = null; // whoever came or went while we were away is not news
    showHere(room.here);
    $("empty").hidden = shownIds.size > 0;
    if (matchMedia("(hover: hover)").matches) $("text").focus();
  } catch (error) {
    if (opened === connection && error.code !== "outcome_unknown") showNotice($("notice"), error.message);
  }
}

// Who is here.

function showHere(names) {
  if (here) {
    names.filter((name) => !here.includes(name)).forEach((name) => showNews(`${name} came in`));
    here.filter((name) => !names.includes(name)).forEach((name) => showNews(`${name} left`));
  }
  here = names;
  $("people-count").textContent = names.length;
  $("people-list").replaceChildren(...names.map(person));
}

function person(name) {
  const item = element("li", "person", avatar(name), element("span", "person-name", name));
  if (name === myName) item.append(element("span", "you", "you"));
  return item;
}

// The log.

function showMessage(message) {
  if (shownIds.has(message.id)) return; // an event and the history may both have it
  shownIds.add(message.id);
  const at = new Date(message.at);
  if (lastShown?.day !== at.toDateString()) {
    append(element("li", "day", dayOf(at)));
    lastShown = null;
  }
  const isMine = message.name === myName;
  const goesOn = lastShown?.name === message.name && at - lastShown.at < SAME_BREATH_MS;
  const item = element("li", `message${isMine ? " mine" : ""}${goesOn ? " goes-on" : ""}`);
  item.dataset.name = message.name;
  const time = element("time", "", at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = message.at;
  time.title = at.toLocaleString();
  const head = element("p", "head", element("b", "", message.name), time);
  item.append(avatar(message.name), head, element("p", "text", message.text));
  append(item, isMine);
  lastShown = { name: message.name, at, day: at.toDateString() };
  $("empty").hidden = true;
}

function showNews(text) {
  append(element("li", "news", text));
  if (lastShown) lastShown.name = null;
}

function append(item, follow = false) {
  const scroll = $("scroll");
  const wasAtBottom = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < AT_BOTTOM_PX;
  $("log").append(item);
  if (wasAtBottom || follow) scroll.scrollTop = scroll.scrollHeight;
  else if (item.classList.contains("message")) $("newer").hidden = false;
}

function dayOf(at) {
  if (at.toDateString() === new Date().toDateString()) return "Today";
  return at.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

// Saying something.

async function say() {
  const box = $("text");
  const text = box.value.trim();
  if (!text || $("send").disabled) return;
  showNotice($("notice"), "");
  box.value = "";
  measure();
  try {
    await connection.call("say", text);
  } catch (error) {
    box.value = box.value ? `${text}\n${box.value}` : text;
    measure();
    const isUnsure = error.code === "outcome_unknown" || error.code === "timed_out";
    showNotice($("notice"), isUnsure ? `${error.message} It may have been sent.` : error.message);
  }
}

function measure() {
  const box = $("text");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
  const left = textMax - [...box.value.trim()].length;
  $("left").textContent = left < 0 ? `${-left} characters too many` : left < WARN_LEFT ? `${left} characters left` : "";
  $("left").classList.toggle("over", left < 0);
}

// Small things.

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function avatar(name) {
  const made = element("span", "avatar", [...name][0].toUpperCase());
  made.ariaHidden = "true";
  const sum = [...name].reduce((before, letter) => (before * 31 + letter.codePointAt(0)) % 9973, 7);
  made.style.setProperty("--hue", (sum * 137.5) % 360); // the golden angle: neighbours end far apart
  return made;
}

function showNotice(place, text) {
  place.textContent = text;
  place.hidden = !text;
}

$("entrance-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("name").value.trim()) enter($("name").value.trim());
});
$("entrance").addEventListener("cancel", (event) => {
  if (!here) event.preventDefault(); // nobody is in the room without a name
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  say();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    say();
  }
});
$("text").addEventListener("input", measure);
$("rename").addEventListener("click", () => askName());
$("newer").addEventListener("click", () => ($("scroll").scrollTop = $("scroll").scrollHeight));
$("scroll").addEventListener("scroll", ({ target }) => {
  if (target.scrollHeight - target.scrollTop - target.clientHeight < AT_BOTTOM_PX) $("newer").hidden = true;
});
addEventListener("pointerdown", ({ target }) => {
  if (!wide.matches && !$("people").contains(target)) $("people").open = false;
});
$("people").addEventListener("keydown", ({ key }) => {
  if (key === "Escape" && !wide.matches) $("people").open = false;
});
addEventListener("online", () => connection?.hurry());

const wide = matchMedia("(min-width: 760px)");
const unfoldPeople = () => ($("people").open = wide.matches);
wide.addEventListener("change", unfoldPeople);
unfoldPeople();

document.title = `${roomName} · Chat`;
$("room-name").textContent = roomName;
$("entrance-room").textContent = roomName;
if (myName) enter(myName);
else askName();
