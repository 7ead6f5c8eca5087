// What a row opens to: everything the API says of one export.

import { copyButton } from "./clipboard.js";
import { button, chip, fill, h, list } from "./dom.js";
import { bytes, count, counted, duration, moment, relative } from "./format.js";
import { curlLines, pythonLines } from "./recipes.js";

/** The panel of one export; `update` writes those parts again that tell something else. */
export class ExportDetails {
	constructor(row, actions) {
		this.actions = actions;
		this.element = h("div.details");
		this.parts = [
			[(now) => now.status, (now) => this.#parameters(now)],
			[JSON.stringify, timeline],
			[(now) => JSON.stringify(now.warnings), (now) => this.#losses(now)],
			[(now) => now.file_size, sums],
			[() => true, recipes],
		].map(([key, write]) => ({ key, write, told: undefined, section: h("section") }));
		this.element.append(...this.parts.map(({ section }) => section));
		this.update(row);
	}

	update(row) {
		this.row = row;
		for (const part of this.parts) {
			const tells = part.key(row);
			if (part.told === tells) continue;
			part.told = tells;
			fill(part.section, part.write(row));
		}
	}

	#parameters(row) {
		return [
			h("h3", "Parameters"),
			list([
				["Dataset", row.dataset_name],
				["Format", row.format],
				["Images", row.include_images ? "in the archive" : "left out: annotations alone"],
				["Classes", row.class_filter ? row.class_filter.join(", ") : "all"],
				["Status of images", row.status_filter ?? "any"],
				row.class_filter && ["Images without any of them", row.include_unannotated ? "kept" : "left out"],
				["Folders by split", row.organize_by_split ? "yes" : "no"],
			]),
			h(
				"div.buttons",
				this.actions.may("create") && button("Export again…", () => this.actions.again(this.row)),
				row.status === "completed" && button("Look inside", () => this.actions.look(this.row)),
			),
		];
	}

	#losses({ warnings }) {
		const found = Object.entries(warnings ?? {}).filter(([, number]) => number);
		const place = h("div", { role: "status" }, list(found.map(([kind, number]) => [kind, count(number)])), button("Read the reasons", () => this.#readReasons(place)));
		return [
			h("h3", "Losses"),
			!warnings && h("p.muted", "Known once it is completed."),
			warnings && !found.length && h("p", "Nothing: the archive holds everything as it was."),
			found.length > 0 && place,
		];
	}

	async #readReasons(place) {
		fill(place, h("p.muted", "Reading the archive…"));
		try {
			const reasons = await this.actions.reasons(this.row);
			fill(place, h("ul.plain", reasons.map(({ kind, count: number, reason }) => h("li", chip(kind, number), ` ${reason}`))));
		} catch (error) {
			fill(place, h("p.alert", `${error.message} README.txt in the archive has the reasons.`));
		}
	}
}

function timeline(row) {
	const completed = row.status === "completed";
	const segments = row.segment_count ? `${count(row.segments_done)} of ${count(row.segment_count)}` : completed ? "built at once: a small export" : "";
	const took = row.completed_at && `after ${duration((Date.parse(row.completed_at) - Date.parse(row.created_at)) / 1000)}`;
	const { retries } = row;
	const goesOn = Date.parse(retries?.next_at) > Date.now() ? ` It goes on ${relative(retries.next_at)}.` : "";
	// Name, whether it is done, when, and more.
	const steps = [
		["Created", true, row.created_at],
		row.queued_at > row.created_at && ["Retried", true, row.queued_at],
		["Planned", row.snapshot_at, row.snapshot_at, row.image_count !== null && `${counted(row.image_count, "image")} selected`],
		["Segments", completed || (row.segment_count && row.segments_done === row.segment_count), null, segments],
		["Checked", completed, null, row.stage === "finish" ? "being read back" : completed && "read back as its readers would"],
		retries && ["Tried again", true, retries.at, `${counted(retries.count, "time")}. ${retries.reason}${goesOn}`],
		row.status === "failed" ? ["Failed", false, row.completed_at, row.error_code] : ["Completed", completed, row.completed_at, took],
		row.expires_at && ["Expires", false, row.expires_at, "with its archive"],
	];
	return [
		h("h3", "Timeline"),
		row.status === "failed" && h("p.alert", row.error_message),
		h(
			"ol.timeline",
			steps.filter(Boolean).map(([name, done, time, note]) =>
				h(
					"li",
					{ class: name === "Failed" ? "bad" : done ? "done" : "" },
					h("span.step", name),
					time && h("time", { dateTime: time }, moment(time)),
					note && h("span.muted", note),
				),
			),
		),
	];
}

function sums(row) {
	const sum = (label, value) => value && [label, h("span.copyable", h("code", value), copyButton(value, label))];
	return [
		h("h3", "Archive"),
		list([["Size", row.file_size === null ? "–" : `${bytes(row.file_size)} (${counted(row.file_size, "byte")})`], sum("CRC-32", row.crc32), sum("SHA-256", row.sha256), sum("Id", row.id)]),
	];
}

function recipes(row) {
	const lines = (title, text) => h("div.recipe", h("h4", title), h("pre", { tabIndex: 0, label: `${title} lines` }, text), copyButton(text, `${title} lines`));
	return [h("h3", "How to make it again"), h("div.recipes", lines("curl", curlLines(row, location.origin)), lines("Python", pythonLines(row, location.origin)))];
}
