// A question before something that cannot be undone.

import { button, fill, h } from "./dom.js";

/** Whether somebody says yes; Escape, and the button that has the focus first, say no. */
export function ask({ title, text, names = [], verb, back }) {
	return new Promise((resolve) => {
		const dialog = h("dialog.confirm", { role: "alertdialog", aria: { labelledby: "confirm-title", describedby: "confirm-text" } });
		fill(
			dialog,
			h("h2", { id: "confirm-title" }, title),
			h("p", { id: "confirm-text" }, text),
			names.length > 0 && h("ul.names", { tabIndex: 0 }, names.map((name) => h("li", name))),
			h("div.buttons",
				button(back, () => dialog.close(), { autofocus: true }),
				button(verb, () => dialog.close("yes"), { class: "danger" }),
			),
		);
		dialog.addEventListener("close", () => {
			dialog.remove();
			resolve(dialog.returnValue === "yes");
		});
		document.body.append(dialog);
		dialog.showModal();
	});
}
