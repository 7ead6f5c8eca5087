// Why annotations were lost: the README.txt of an archive says it in lines like
// `dropped: 572 (COCO has no polylines)`.

import { ZipReader } from "./zip-reader.js";

const LINE = /^(clamped|degraded|dropped|renamed|unannotated): (\d+) \((.*)\)$/;

/** `{kind, count, reason}` of each loss, read from the archive in the store. */
export async function reasonsOf(api, row) {
	const link = await api.downloadLink(row.id);
	const archive = await ZipReader.open(link.download_url, link.file_size);
	const text = new TextDecoder().decode(await archive.read("README.txt"));
	return text
		.split("\n")
		.map((line) => LINE.exec(line))
		.filter(Boolean)
		.map(([, kind, count, reason]) => ({ kind, count: Number(count), reason }));
}
