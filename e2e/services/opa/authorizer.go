package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	envoy "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/uuid"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/server"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// authorizer answers checks with decisions.
type authorizer struct {
	auth.UnimplementedAuthorizationServer
	manager *plugins.Manager
	path    string
}

// decision is what the policy returns.
type decision struct {
	Allowed                bool              `json:"allowed"`
	Status                 int32             `json:"http_status"`
	Body                   string            `json:"body"`
	Headers                map[string]string `json:"headers"`
	RequestHeadersToRemove []string          `json:"request_headers_to_remove"`
	ResponseHeadersToAdd   map[string]string `json:"response_headers_to_add"`
	DynamicMetadata        map[string]any    `json:"dynamic_metadata"`
}

// Check asks the policy about one request, and writes the decision to OPA's decision log. An error
// of the policy is one of the call.
func (a *authorizer) Check(
	ctx context.Context, request *auth.CheckRequest,
) (*auth.CheckResponse, error) {
	input, err := asInput(request)
	if err != nil {
		return nil, err
	}
	result, err := a.evaluate(ctx, input)
	if logged := a.log(ctx, input, result, err); logged != nil {
		a.manager.Logger().Error("%s: decision log: %v", pluginName, logged)
	}
	if err != nil {
		return nil, err
	}
	return respond(result)
}

// asInput is the request as the policy sees it: protobuf's own JSON.
func asInput(request *auth.CheckRequest) (any, error) {
	text, err := protojson.Marshal(request)
	if err != nil {
		return nil, err
	}
	var input any
	return input, json.Unmarshal(text, &input)
}

func (a *authorizer) evaluate(ctx context.Context, input any) (any, error) {
	results, err := rego.New(
		rego.Query("data."+strings.ReplaceAll(a.path, "/", ".")),
		rego.Compiler(a.manager.GetCompiler()),
		rego.Store(a.manager.Store),
		rego.Input(input),
	).Eval(ctx)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return nil, fmt.Errorf("`%s` is undefined", a.path)
	}
	return results[0].Expressions[0].Value, nil
}

func (a *authorizer) log(ctx context.Context, input, result any, failure error) error {
	log := logs.Lookup(a.manager)
	if log == nil {
		return nil
	}
	return log.Log(ctx, &server.Info{
		DecisionID: uuid.NewString(),
		Path:       a.path,
		Timestamp:  time.Now(),
		Input:      &input,
		Results:    &result,
		Error:      failure,
	})
}

func respond(result any) (*auth.CheckResponse, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	var decided decision
	if err := json.Unmarshal(text, &decided); err != nil {
		return nil, err
	}
	metadata, err := structpb.NewStruct(decided.DynamicMetadata)
	if err != nil {
		return nil, err
	}
	response := &auth.CheckResponse{DynamicMetadata: metadata}
	if decided.Allowed {
		response.Status = &rpc.Status{Code: int32(codes.OK)}
		response.HttpResponse = &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
			Headers:              options(decided.Headers),
			HeadersToRemove:      decided.RequestHeadersToRemove,
			ResponseHeadersToAdd: options(decided.ResponseHeadersToAdd),
		}}
		return response, nil
	}
	denied := &auth.DeniedHttpResponse{Headers: options(decided.Headers), Body: decided.Body}
	if decided.Status != 0 {
		denied.Status = &envoy.HttpStatus{Code: envoy.StatusCode(decided.Status)}
	}
	response.Status = &rpc.Status{Code: int32(codes.PermissionDenied)}
	response.HttpResponse = &auth.CheckResponse_DeniedResponse{DeniedResponse: denied}
	return response, nil
}

// options are headers in the order of their names.
func options(headers map[string]string) []*core.HeaderValueOption {
	made := make([]*core.HeaderValueOption, 0, len(headers))
	for name, value := range headers {
		header := &core.HeaderValue{Key: name, Value: value}
		made = append(made, &core.HeaderValueOption{Header: header})
	}
	sort.Slice(made, func(i, j int) bool { return made[i].Header.Key < made[j].Header.Key })
	return made
}
