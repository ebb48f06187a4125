package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
)

// The largest manifest that is taken: the distribution specification's own limit.
const maxManifestBytes = 4 << 20

// manifestStore writes accepted manifests to files: <folder>/<repository>/<tag or digest>, the first line the media type.
type manifestStore struct{ folder string }

// remember passes requests on to the registry and keeps every manifest that it accepts.
func (s manifestStore) remember(images http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isManifest := manifestName(r.URL.Path)
		if r.Method != http.MethodPut || !isManifest {
			images.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxManifestBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer := put(images, r.URL.Path, r.Header.Get("Content-Type"), body)
		if answer.Code < 300 {
			if err := s.write(name, r.Header.Get("Content-Type"), body); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		for key, values := range answer.Header() {
			w.Header()[key] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// giveBack puts every kept manifest into the registry. An index is refused while its images are missing, so those
// that were refused are tried again as long as that helps.
func (s manifestStore) giveBack(images http.Handler) error {
	kept := map[string][]byte{}
	err := filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".new") {
			return err
		}
		name, err := filepath.Rel(s.folder, path)
		if err != nil {
			return err
		}
		kept[name], err = os.ReadFile(path)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for before := len(kept) + 1; len(kept) < before; {
		before = len(kept)
		for name, file := range kept {
			mediaType, body, _ := bytes.Cut(file, []byte("\n"))
			repository, reference := filepath.Split(name)
			if put(images, fmt.Sprintf("/v2/%smanifests/%s", repository, reference), string(mediaType), body).Code < 300 {
				delete(kept, name)
			}
		}
	}
	for name := range kept {
		log.Printf("manifest %s was not taken back", name)
	}
	return nil
}

func (s manifestStore) write(name, mediaType string, body []byte) error {
	path := filepath.Join(s.folder, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append([]byte(mediaType+"\n"), body...), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// manifestName is <repository>/<reference> of a manifest's URL path.
func manifestName(path string) (string, bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")
	if !strings.HasPrefix(path, "/v2/") || len(parts) < 3 || parts[len(parts)-2] != "manifests" {
		return "", false
	}
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			return "", false
		}
	}
	return strings.Join(append(parts[:len(parts)-2:len(parts)-2], parts[len(parts)-1]), "/"), true
}

func put(images http.Handler, path, mediaType string, body []byte) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodPut, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", mediaType)
	answer := httptest.NewRecorder()
	images.ServeHTTP(answer, request)
	return answer
}
