// The lines that make an export, for a terminal and for a program. The key stays out of them.

/** The body of Create export that makes such an export. */
export function choiceOf(row) {
	const choice = { dataset_name: row.dataset_name, name: row.name, format: row.format, include_images: row.include_images };
	if (row.class_filter) {
		choice.class_filter = row.class_filter;
		if (row.include_unannotated) choice.include_unannotated = true;
	}
	if (row.status_filter) choice.status_filter = row.status_filter;
	if (row.organize_by_split) choice.organize_by_split = true;
	return choice;
}

export function curlLines(row, origin) {
	const body = JSON.stringify(choiceOf(row), null, 2).replaceAll("'", "'\\''");
	const head = '-H "X-API-Key: $KEY" -H "Content-Type: application/json"';
	return [`curl -X POST ${origin}/api/v1/developer/exports/ \\`, `  ${head} \\`, `  -d '${body}'`].join("\n");
}

export function pythonLines(row, origin) {
	const { dataset_name: dataset, name, ...rest } = choiceOf(row);
	const words = Object.entries(rest).map(([key, value]) => `    ${key}=${literal(value)},`);
	return [
		"from pictograph import Client",
		"",
		`client = Client(api_key=KEY, base_url="${origin}")`,
		"export = client.exports.create(",
		`    ${literal(dataset)},`,
		`    ${literal(name)},`,
		...words,
		")",
	].join("\n");
}

function literal(value) {
	if (value === true) return "True";
	if (value === false) return "False";
	if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
	return JSON.stringify(value);
}
