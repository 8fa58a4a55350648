// An Envoy's side of ADS, for a waypoint: it asks the agent for the resources of a proxy, says that
// it has taken them, and writes each kind to a file as JSON, anew at every update. What becomes of
// them is for the tests, in Rust.
//
//	ads SOCKET FOLDER TEMPLATE
//
// The environment is that of the waypoint's pod, and etc/istio/pod in the working directory has its
// labels and annotations: from them the agent's own code makes the node and, with Istio's template,
// the file bootstrap.json, with which an Envoy starts.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	_ "istio.io/api/envoy/extensions/stats"
	"istio.io/istio/pilot/cmd/pilot-agent/config"
	"istio.io/istio/pkg/bootstrap"
	_ "istio.io/istio/pkg/config/xds"
)

const (
	clusters   = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	endpoints  = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	listeners  = "type.googleapis.com/envoy.config.listener.v3.Listener"
	routes     = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	extensions = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
)

// The files' names.
var files = map[string]string{
	clusters: "clusters", endpoints: "endpoints", listeners: "listeners",
	routes: "routes", extensions: "extensions",
}

type client struct {
	stream  discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	node    *core.Node
	folder  string
	version map[string]string
	nonce   map[string]string
	names   map[string][]string
	updates int
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: ads SOCKET FOLDER TEMPLATE")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

func run(socket, folder, template string) error {
	node, err := node(folder, template)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient("unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(connection).
		StreamAggregatedResources(context.Background(), grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	c := &client{
		stream: stream, node: node, folder: folder, version: map[string]string{},
		nonce: map[string]string{}, names: map[string][]string{},
	}
	for _, kind := range []string{clusters, listeners} {
		if err := c.ask(kind); err != nil {
			return err
		}
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := c.take(response); err != nil {
			return err
		}
	}
}

// The node, as the agent's bootstrap has it, and that bootstrap.
func node(folder, template string) (*core.Node, error) {
	configuration, err := config.ConstructProxyConfig("", "", os.Getenv("PROXY_CONFIG"), 0)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("waypoint~%s~%s.%s~%s.svc.cluster.local", os.Getenv("INSTANCE_IP"),
		os.Getenv("POD_NAME"), os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAMESPACE"))
	node, err := bootstrap.GetNodeMetaData(bootstrap.MetadataOptions{
		ID: id, Envs: os.Environ(), InstanceIPs: []string{os.Getenv("INSTANCE_IP")},
		ProxyConfig: configuration,
	})
	if err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(folder, "bootstrap.json"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := bootstrap.New(bootstrap.Config{Node: node}).WriteTo(template, file); err != nil {
		return nil, err
	}
	return &core.Node{Id: id, Metadata: node.Metadata.NodeMetadata.ToStruct()}, nil
}

// Asks for a kind, or says that its last version has been taken.
func (c *client) ask(kind string) error {
	return c.stream.Send(&discovery.DiscoveryRequest{
		Node: c.node, TypeUrl: kind, ResourceNames: c.names[kind],
		VersionInfo: c.version[kind], ResponseNonce: c.nonce[kind],
	})
}

func (c *client) take(response *discovery.DiscoveryResponse) error {
	kind := response.TypeUrl
	name, known := files[kind]
	if !known {
		return nil
	}
	if err := c.write(name, response); err != nil {
		return err
	}
	c.version[kind], c.nonce[kind] = response.VersionInfo, response.Nonce
	if err := c.ask(kind); err != nil {
		return err
	}
	for kind, names := range referred(response) {
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) == 0 || slices.Equal(c.names[kind], names) {
			continue
		}
		c.names[kind] = names
		if err := c.ask(kind); err != nil {
			return err
		}
	}
	return nil
}

// What the resources of a response refer to, by kind.
func referred(response *discovery.DiscoveryResponse) map[string][]string {
	names := map[string][]string{}
	for _, resource := range response.Resources {
		switch response.TypeUrl {
		case clusters:
			found := &cluster.Cluster{}
			if resource.UnmarshalTo(found) == nil && found.GetType() == cluster.Cluster_EDS {
				name := found.GetEdsClusterConfig().GetServiceName()
				if name == "" {
					name = found.Name
				}
				names[endpoints] = append(names[endpoints], name)
			}
		case listeners:
			found := &listener.Listener{}
			if resource.UnmarshalTo(found) != nil {
				continue
			}
			for _, chain := range append(found.FilterChains, found.DefaultFilterChain) {
				for _, filter := range chain.GetFilters() {
					manager := &hcm.HttpConnectionManager{}
					if filter.GetTypedConfig().UnmarshalTo(manager) != nil {
						continue
					}
					if name := manager.GetRds().GetRouteConfigName(); name != "" {
						names[routes] = append(names[routes], name)
					}
					for _, http := range manager.HttpFilters {
						if http.GetConfigDiscovery() != nil {
							names[extensions] = append(names[extensions], http.Name)
						}
					}
				}
			}
		}
	}
	return names
}

// Writes a response with a number of its own, so that its readers see each.
func (c *client) write(name string, response *discovery.DiscoveryResponse) error {
	copied := proto.Clone(response).(*discovery.DiscoveryResponse)
	c.updates++
	copied.Nonce = strconv.Itoa(c.updates)
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(copied)
	if err != nil {
		return err
	}
	file := filepath.Join(c.folder, name+".json")
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
