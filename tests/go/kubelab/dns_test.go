package main

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

func pointer[T any](value T) *T { return &value }

func some() *names {
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	service := func(name, address string) {
		_ = services.Add(&core.Service{
			ObjectMeta: meta.ObjectMeta{Namespace: "mq", Name: name},
			Spec:       core.ServiceSpec{ClusterIP: address},
		})
	}
	service("api", "10.96.0.1")
	service("names", core.ClusterIPNone)
	service("empty", core.ClusterIPNone)
	_ = slices.Add(&discovery.EndpointSlice{
		ObjectMeta: meta.ObjectMeta{Namespace: "mq", Name: "names-1", Labels: map[string]string{discovery.LabelServiceName: "names"}},
		Endpoints: []discovery.Endpoint{
			{Hostname: pointer("names-0"), Addresses: []string{"10.244.0.2"}},
			{Hostname: pointer("names-1"), Addresses: []string{"10.244.0.3"}, Conditions: discovery.EndpointConditions{Ready: pointer(true)}},
			{Hostname: pointer("names-2"), Addresses: []string{"10.244.0.4"}, Conditions: discovery.EndpointConditions{Ready: pointer(false)}},
		},
	})
	return &names{services: corelisters.NewServiceLister(services), slices: discoverylisters.NewEndpointSliceLister(slices)}
}

func TestNamesHaveTheAddressesOfServicesAndOfReadyPods(t *testing.T) {
	for name, want := range map[string][]string{
		"api.mq.svc.cluster.local.":           {"10.96.0.1"},
		"NAMES-0.names.mq.svc.cluster.local.": {"10.244.0.2"},
		"names.mq.svc.cluster.local.":         {"10.244.0.2", "10.244.0.3"},
		"empty.mq.svc.cluster.local.":         {},
	} {
		found, exists := some().addresses(name)
		texts := []string{}
		for _, address := range found {
			texts = append(texts, address.String())
		}
		slices.Sort(texts)
		if !exists || !slices.Equal(texts, want) {
			t.Errorf("%s: %v %v, want %v", name, texts, exists, want)
		}
	}
	for _, name := range []string{
		"names-2.names.mq.svc.cluster.local.", "names-9.names.mq.svc.cluster.local.", "host.api.mq.svc.cluster.local.",
		"other.mq.svc.cluster.local.", "mq.svc.cluster.local.", "names-0.names.mq.svc.", "example.org.",
	} {
		if found, exists := some().addresses(name); exists {
			t.Errorf("%s exists: %v", name, found)
		}
	}
}

func TestAnswersTellANameWithoutAddressFromNone(t *testing.T) {
	ask := func(name string, kind dnsmessage.Type, limit int) dnsmessage.Message {
		request := dnsmessage.Message{
			Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
		}
		packed, err := request.Pack()
		if err != nil {
			t.Fatal(err)
		}
		var answer dnsmessage.Message
		if err := answer.Unpack(some().answer(packed, limit)); err != nil {
			t.Fatal(err)
		}
		if answer.ID != 7 || !answer.Response {
			t.Fatalf("no answer to the request: %v", answer.Header)
		}
		return answer
	}
	found := ask("names-1.names.mq.svc.cluster.local.", dnsmessage.TypeA, maxDatagram)
	if len(found.Answers) != 1 || found.Answers[0].Body.(*dnsmessage.AResource).A != netip.MustParseAddr("10.244.0.3").As4() {
		t.Errorf("A: %v", found)
	}
	six := ask("names-1.names.mq.svc.cluster.local.", dnsmessage.TypeAAAA, maxDatagram)
	if six.RCode != dnsmessage.RCodeSuccess || len(six.Answers) != 0 {
		t.Errorf("AAAA: %v", six)
	}
	none := ask("names-9.names.mq.svc.cluster.local.", dnsmessage.TypeA, maxDatagram)
	if none.RCode != dnsmessage.RCodeNameError {
		t.Errorf("no such name: %v", none)
	}
	long := ask("names.mq.svc.cluster.local.", dnsmessage.TypeA, 50)
	if !long.Truncated || len(long.Answers) != 0 {
		t.Errorf("too long: %v", long)
	}
	if answer := some().answer([]byte("no message"), maxDatagram); answer != nil {
		t.Errorf("answered %v", answer)
	}
}
