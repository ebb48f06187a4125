package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/spf13/cobra"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// The suffix of every name that exists.
	zone = ".svc.cluster.local."
	// Common clusters cache names for 30 s; the lab answers anew each second.
	ttlSeconds = 1
	// What a request or an answer by UDP may be large without extensions (RFC 1035, 4.2.1).
	maxDatagram = 512
)

// newDNSCommand is the cluster's DNS: addresses of Services and of the pods behind headless ones, by the rules of
// https://github.com/kubernetes/dns/blob/master/docs/specification.md as far as A records go. All other names do not exist:
// without an answer, resolvers would take them for a fault that passes.
func newDNSCommand() *cobra.Command {
	var kubeconfig, listen string
	command := &cobra.Command{
		Use:          "dns",
		SilenceUsage: true,
		RunE: func(*cobra.Command, []string) error {
			names, err := watchNames(kubeconfig)
			if err != nil {
				return err
			}
			return names.serve(listen)
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "the cluster")
	command.Flags().StringVar(&listen, "listen", "", "address and port for UDP and TCP")
	return command
}

// names looks up what the API server has shown so far.
type names struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func watchNames(kubeconfig string) (*names, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	found := &names{
		services: factory.Core().V1().Services().Lister(),
		slices:   factory.Discovery().V1().EndpointSlices().Lister(),
	}
	never := make(chan struct{})
	factory.Start(never)
	for kind, synced := range factory.WaitForCacheSync(never) {
		if !synced {
			return nil, fmt.Errorf("cannot watch %v", kind)
		}
	}
	return found, nil
}

// addresses are those of a name, which may exist without any.
func (n *names) addresses(name string) (found []netip.Addr, exists bool) {
	rest, inZone := strings.CutSuffix(strings.ToLower(name), zone)
	labelsOfName := strings.Split(rest, ".")
	if !inZone || len(labelsOfName) < 2 || len(labelsOfName) > 3 {
		return nil, false
	}
	host, serviceName, namespace := "", labelsOfName[len(labelsOfName)-2], labelsOfName[len(labelsOfName)-1]
	if len(labelsOfName) == 3 {
		host = labelsOfName[0]
	}
	service, err := n.services.Services(namespace).Get(serviceName)
	if err != nil {
		return nil, false
	}
	if service.Spec.ClusterIP != core.ClusterIPNone {
		address, err := netip.ParseAddr(service.Spec.ClusterIP)
		if host != "" || err != nil {
			return nil, false
		}
		return []netip.Addr{address}, true
	}
	selector := labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: serviceName})
	slices, err := n.slices.EndpointSlices(namespace).List(selector)
	if err != nil {
		return nil, false
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			ready := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			named := endpoint.Hostname != nil && *endpoint.Hostname == host
			if !ready || host != "" && !named {
				continue
			}
			for _, text := range endpoint.Addresses {
				if address, err := netip.ParseAddr(text); err == nil {
					found = append(found, address)
				}
			}
		}
	}
	return found, host == "" || len(found) > 0
}

// answer is the packed answer to a packed request; none where the request is no request.
func (n *names) answer(request []byte, limit int) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(request)
	if err != nil || header.Response {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	found, exists := n.addresses(question.Name.String())
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID:               header.ID,
			Response:         true,
			Authoritative:    true,
			RecursionDesired: header.RecursionDesired,
			// Resolvers of some images take an answer without it for a refusal.
			RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{question},
	}
	if !exists {
		message.RCode = dnsmessage.RCodeNameError
	}
	for _, address := range found {
		if question.Type == dnsmessage.TypeA && address.Is4() {
			resource := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: ttlSeconds}
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: resource,
				Body:   &dnsmessage.AResource{A: address.As4()},
			})
		}
	}
	packed, err := message.Pack()
	if err == nil && len(packed) > limit {
		message.Truncated, message.Answers = true, nil
		packed, err = message.Pack()
	}
	if err != nil {
		return nil
	}
	return packed
}

// serve answers by UDP and TCP until one of them fails.
func (n *names) serve(listen string) error {
	datagrams, err := net.ListenPacket("udp", listen)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- n.serveDatagrams(datagrams) }()
	go func() { failed <- n.serveStreams(streams) }()
	return <-failed
}

func (n *names) serveDatagrams(socket net.PacketConn) error {
	request := make([]byte, maxDatagram)
	for {
		size, from, err := socket.ReadFrom(request)
		if err != nil {
			return err
		}
		if answer := n.answer(request[:size], maxDatagram); answer != nil {
			_, _ = socket.WriteTo(answer, from)
		}
	}
}
