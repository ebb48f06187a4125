// Command labregistry is the lab's image registry on loopback.
//
// usage: labregistry ADDR DIR
//
// Blobs and manifests lie below DIR. The registry underneath keeps manifests in memory only, so each accepted manifest is
// written down too, and all of them are put again at the start.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: labregistry ADDR DIR")
		os.Exit(2)
	}
	address, folder := os.Args[1], os.Args[2]
	images := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(folder)))
	store := manifestStore{folder: filepath.Join(folder, "manifests")}
	if err := store.giveBack(images); err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(address, store.remember(images)))
}
