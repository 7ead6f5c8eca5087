// Building elements without markup in strings: texts stay texts, whatever names hold.

import { count } from "./format.js";

/**
 * An element: `tag.class.class`, properties, children.
 *
 * Properties are `class`, `on` (listeners by event), `label` (for screen readers), `data` and
 * `aria`; any other key is a property where the element has one, else an attribute. Of the
 * children what is null or false is left out.
 */
export function h(kind, ...rest) {
	const [tag, ...classes] = kind.split(".");
	const element = document.createElement(tag);
	if (classes.length) element.className = classes.join(" ");
	const properties = rest[0]?.constructor === Object ? rest.shift() : {};
	for (const [key, value] of Object.entries(properties)) {
		if (value == null) continue;
		if (key === "class") element.className = value;
		else if (key === "label") element.setAttribute("aria-label", value);
		else if (key === "on") {
			for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
		} else if (key === "data" || key === "aria") {
			for (const [word, text] of Object.entries(value)) element.setAttribute(`${key}-${word}`, text);
		} else if (key in element) element[key] = value;
		else element.setAttribute(key, value);
	}
	element.append(...flat(rest));
	return element;
}

function flat(children) {
	return children.flat(Infinity).filter((child) => (child ?? false) !== false);
}

/** Terms and what is said of each; pairs that are false are left out. */
export function list(pairs) {
	return h("dl", pairs.filter(Boolean).map(([term, value]) => h("div", h("dt", term), h("dd", value))));
}

/** How many of a kind were lost. */
export function chip(kind, number, title = "") {
	return h("span", { class: `chip chip-${kind}`, title }, `${title === "at most" ? "≤ " : ""}${count(number)} ${kind}`);
}

/** A button of these words (or of an icon, with a label) that acts when it is pressed. */
export function button(words, act, properties = {}) {
	return h("button", { type: "button", on: { click: act }, ...properties }, words);
}

export function fill(element, ...children) {
	element.replaceChildren(...flat(children));
}

/** Writes a text only where it is another one: an untouched node costs no layout. */
export function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export function byId(id) {
	return document.getElementById(id);
}

const PATHS = {
	more: "M6 4l4 4-4 4",
	download: "M8 2v8m0 0L4.5 6.5M8 10l3.5-3.5M2.5 13.5h11",
	retry: "M13 8a5 5 0 1 1-1.6-3.7M13 2v3h-3",
	cancel: "M4 4l8 8M12 4l-8 8",
	remove: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.7 9h6.6l.7-9",
	copy: "M5.5 5.5v-3h8v8h-3m0-5v8h-8v-8z",
	look: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
};

/** A small drawing that says nothing to a screen reader: the control beside it has the words. */
export function icon(name) {
	const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
	drawing.setAttribute("viewBox", "0 0 16 16");
	drawing.setAttribute("aria-hidden", "true");
	drawing.setAttribute("class", `icon icon-${name}`);
	const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
	path.setAttribute("d", PATHS[name]);
	drawing.append(path);
	return drawing;
}
