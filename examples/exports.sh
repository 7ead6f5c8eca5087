#!/usr/bin/env bash
# The Exports API with curl and nothing else.
#
#   CARTOUCHE_API_KEY=pk_live_… examples/exports.sh street-scenes
set -euo pipefail

dataset=$1
name=example-with-curl
exports=${CARTOUCHE_URL:-http://127.0.0.1:8080}/api/v1/developer/exports

# Prints the answer; an error is printed too, and ends the script.
call() { curl --silent --show-error --fail-with-body -H "X-API-Key: $CARTOUCHE_API_KEY" "$@"; }
# Prints a text or a number of the JSON object on standard input.
field() { sed -E "s/.*\"$1\":\"?([^\",}]*).*/\1/"; }

call -X POST "$exports/" -H 'Content-Type: application/json' \
  -d "{\"dataset_name\": \"$dataset\", \"name\": \"$name\", \"format\": \"coco\", \"include_images\": true}"
echo

while status=$(call "$exports/$dataset/$name" | field status); [[ $status == p* ]]; do
  sleep 0.5
done
echo "The export is $status."

link=$(call "$exports/$dataset/$name/download" | field download_url)
curl --silent --show-error --fail --output curl.zip "$link"
ls -l curl.zip

call "$exports/?dataset_name=$dataset&limit=10"
echo
call -X DELETE "$exports/$dataset/$name"
echo
