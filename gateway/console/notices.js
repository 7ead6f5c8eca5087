// What the page tells by itself: short notices, words for screen readers, and a count in the
// title of what has finished while nobody looked. Never a sound.

import { button, byId, h } from "./dom.js";

const SHOWN_MS = 7000;
const title = document.title;
let unseen = 0;

export function announce(text) {
	byId("announcer").textContent = text;
}

/** Shows a sentence for a while, and says it; `kind` is `good`, `bad` or `plain`. */
export function notify(text, kind = "plain") {
	const remove = () => notice.remove();
	const notice = h("div", { class: `notice notice-${kind}` }, h("span", text), button("×", remove, { class: "quiet", label: "Dismiss" }));
	byId("notices").append(notice);
	// An error stays until it is dismissed.
	if (kind !== "bad") setTimeout(remove, SHOWN_MS);
}

/** Counts something in the tab's title until somebody looks at the page. */
export function countUnseen() {
	if (!document.hidden && document.hasFocus()) return;
	unseen += 1;
	document.title = `(${unseen}) ${title}`;
}

function seen() {
	if (document.hidden || !unseen) return;
	unseen = 0;
	document.title = title;
}

document.addEventListener("visibilitychange", seen);
addEventListener("focus", seen);
