package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

func TestManifestsSurviveARestart(t *testing.T) {
	store := manifestStore{folder: t.TempDir()}
	first := store.remember(registry.New())
	const path, mediaType = "/v2/apache/rocketmq/manifests/5.3.3", "application/vnd.oci.image.manifest.v1+json"
	if answer := put(first, path, mediaType, []byte(`{"schemaVersion":2}`)); answer.Code != http.StatusCreated {
		t.Fatalf("put: %d %s", answer.Code, answer.Body)
	}
	second := registry.New()
	if err := store.giveBack(second); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	second.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != mediaType ||
		strings.TrimSpace(answer.Body.String()) != `{"schemaVersion":2}` {
		t.Fatalf("get: %d %s %s", answer.Code, answer.Header(), answer.Body)
	}
}

func TestOnlyManifestPathsHaveAName(t *testing.T) {
	for path, want := range map[string]string{
		"/v2/apache/rocketmq/manifests/5.3.3": "apache/rocketmq/5.3.3",
		"/v2/apache/rocketmq/blobs/sha256:0":  "",
		"/v2/../manifests/latest":             "",
		"/v2/manifests/latest":                "",
	} {
		if got, _ := manifestName(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
