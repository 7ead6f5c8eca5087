// The Exports API with Go's standard library.
//
//	CARTOUCHE_API_KEY=pk_live_… go run examples/exports.go street-scenes
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

const name = "example with Go"

var exports = cmp.Or(os.Getenv("CARTOUCHE_URL"), "http://127.0.0.1:8080") + "/api/v1/developer/exports/"

type export struct {
	Name            string    `json:"name"`
	Status          string    `json:"status"`
	ErrorMessage    string    `json:"error_message"`
	ImageCount      int       `json:"image_count"`
	AnnotationCount int       `json:"annotation_count"`
	CreatedAt       time.Time `json:"created_at"`
}

// call sends a request and reads the answer; an error has the server's own words.
func call(method, target string, body, answer any) error {
	sent, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, target, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", os.Getenv("CARTOUCHE_API_KEY"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var problem struct{ Message string }
		if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
			return err
		}
		return fmt.Errorf("%s: %s (request %s)", resp.Status, problem.Message, resp.Header.Get("X-Request-Id"))
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

// save writes what a link gives into a file. The link needs no API key.
func save(link, path string) (int64, error) {
	resp, err := http.Get(link)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("download: %s", resp.Status)
	}
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return io.Copy(file, resp.Body)
}

func run(dataset string) error {
	one := exports + url.PathEscape(dataset) + "/" + url.PathEscape(name)
	var made export
	request := map[string]any{
		"dataset_name": dataset, "name": name, "format": "coco", "include_images": true,
	}
	if err := call("POST", exports, request, &made); err != nil {
		return err
	}
	for made.Status == "pending" || made.Status == "processing" {
		time.Sleep(500 * time.Millisecond)
		if err := call("GET", one, nil, &made); err != nil {
			return err
		}
	}
	if made.Status == "failed" {
		return fmt.Errorf("the export failed: %s", made.ErrorMessage)
	}
	fmt.Printf("%s: %d images, %d annotations\n", name, made.ImageCount, made.AnnotationCount)

	var link struct {
		DownloadURL string `json:"download_url"`
	}
	if err := call("GET", one+"/download", nil, &link); err != nil {
		return err
	}
	size, err := save(link.DownloadURL, "go.zip")
	if err != nil {
		return err
	}
	fmt.Printf("go.zip: %d bytes\n", size)

	var rows []export
	if err := call("GET", exports+"?limit=10&dataset_name="+url.QueryEscape(dataset), nil, &rows); err != nil {
		return err
	}
	for _, row := range rows {
		fmt.Printf("%s %-10s %s\n", row.CreatedAt.Format(time.DateTime), row.Status, row.Name)
	}

	var deleted struct{ Message string }
	if err := call("DELETE", one, nil, &deleted); err != nil {
		return err
	}
	fmt.Println(deleted.Message)
	return nil
}

func main() {
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
