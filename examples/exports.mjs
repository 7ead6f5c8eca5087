// The Exports API with Node's own fetch (Node 18 or newer).
//
//   CARTOUCHE_API_KEY=pk_live_… node examples/exports.mjs street-scenes
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const url = `${process.env.CARTOUCHE_URL ?? "http://127.0.0.1:8080"}/api/v1/developer/exports/`;
const dataset = process.argv[2];
const name = "example with fetch";
const one = `${url}${encodeURIComponent(dataset)}/${encodeURIComponent(name)}`;

// The answer's JSON; an error is thrown with the server's own words.
async function call(target, options = {}) {
  const headers = { "X-API-Key": process.env.CARTOUCHE_API_KEY, ...options.headers };
  const response = await fetch(target, { ...options, headers });
  const body = await response.json();
  if (!response.ok) {
    const request = response.headers.get("X-Request-Id");
    throw new Error(`${response.status}: ${body.message} (request ${request})`);
  }
  return body;
}

let made = await call(url, {
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": crypto.randomUUID() },
  body: JSON.stringify({ dataset_name: dataset, name, format: "coco", include_images: true }),
});
while (made.status === "pending" || made.status === "processing") {
  await sleep(500);
  made = await call(one);
}
if (made.status === "failed") throw new Error(made.error_message);
console.log(`${name}: ${made.image_count} images, ${made.annotation_count} annotations`);

// The link needs no API key, and gets none: it leads to the object store.
const { download_url } = await call(`${one}/download`);
const archive = await fetch(download_url);
if (!archive.ok) throw new Error(`download: ${archive.status}`);
await writeFile("fetch.zip", Buffer.from(await archive.arrayBuffer()));

for (const row of await call(`${url}?dataset_name=${encodeURIComponent(dataset)}&limit=10`)) {
  console.log(row.created_at, row.status.padEnd(10), row.name);
}
console.log((await call(one, { method: "DELETE" })).message);
