// Copying with one press; where the page is not served over https or loopback, the old way.

import { button, fill, h, icon } from "./dom.js";
import { announce } from "./notices.js";

const SHOWN_MS = 2000;

export function copyButton(text, what) {
	const words = `Copy ${what}`;
	const act = async () => {
		const done = await copy(text);
		announce(done ? `Copied ${what}.` : "The browser does not let the page copy.");
		if (!done) return;
		fill(made, "Copied");
		setTimeout(() => fill(made, icon("copy")), SHOWN_MS);
	};
	const made = button(icon("copy"), act, { class: "quiet copy", title: words, label: words });
	return made;
}

async function copy(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const area = h("textarea", { value: text, class: "off-screen" });
		document.body.append(area);
		area.select();
		const done = document.execCommand("copy");
		area.remove();
		return done;
	}
}
