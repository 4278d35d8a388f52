// Package retryinfo is a server middleware for the Collector's receivers: whenever an export is
// refused as UNAVAILABLE it adds when to come back.
//
// The memory limiter and a Kafka that does not answer both end as a bare UNAVAILABLE in the OTLP
// receiver. Clients retry that, but on a timer of their own choice. The OTLP specification lets the
// server name the delay: google.rpc.RetryInfo in the gRPC status details, the Retry-After header
// with HTTP (sections "OTLP/gRPC Throttling" and "OTLP/HTTP Throttling").
package retryinfo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

var (
	_ extensionmiddleware.GRPCServer = (*middleware)(nil)
	_ extensionmiddleware.HTTPServer = (*middleware)(nil)

	errDelay = errors.New("delay must be at least 1s: Retry-After counts whole seconds")
)

// Config of the extension.
type Config struct {
	// Delay is the shortest wait asked for. The wait is drawn between once and twice this, so
	// that clients refused together do not return together.
	Delay time.Duration `mapstructure:"delay"`
}

// Validate is called by the Collector when it loads its configuration.
func (c *Config) Validate() error {
	if c.Delay < time.Second {
		return errDelay
	}
	return nil
}

// NewFactory is what the distribution's builder calls. The component is named retry_info.
func NewFactory() extension.Factory {
	return extension.NewFactory(
		component.MustNewType("retry_info"),
		func() component.Config { return &Config{Delay: time.Second} },
		func(_ context.Context, _ extension.Settings, cfg component.Config) (extension.Extension, error) {
			return &middleware{delay: cfg.(*Config).Delay}, nil
		},
		component.StabilityLevelBeta,
	)
}

type middleware struct {
	component.StartFunc
	component.ShutdownFunc

	delay time.Duration
}

func (m *middleware) wait() time.Duration {
	return m.delay + rand.N(m.delay)
}

// GetGRPCServerOptions adds the interceptor to a receiver's gRPC server.
func (m *middleware) GetGRPCServerOptions(context.Context) ([]grpc.ServerOption, error) {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			resp, err := next(ctx, req)
			return resp, m.annotate(err)
		},
	)}, nil
}

func (m *middleware) annotate(err error) error {
	refused, ok := status.FromError(err)
	if !ok || refused.Code() != codes.Unavailable {
		return err
	}
	for _, detail := range refused.Details() {
		if _, told := detail.(*errdetails.RetryInfo); told {
			return err
		}
	}
	annotated, failed := refused.WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(m.wait())},
	)
	if failed != nil {
		return err // the refusal itself matters more than its details
	}
	return annotated.Err()
}

// GetHTTPHandler wraps a receiver's HTTP handler.
func (m *middleware) GetHTTPHandler(context.Context) (extensionmiddleware.WrapHTTPHandlerFunc, error) {
	return func(_ context.Context, next http.Handler) (http.Handler, error) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&response{ResponseWriter: w, middleware: m}, r)
		}), nil
	}, nil
}

// response sets Retry-After at the moment the status becomes known to be 503.
type response struct {
	http.ResponseWriter
	middleware *middleware
}

func (r *response) WriteHeader(code int) {
	if code == http.StatusServiceUnavailable && r.Header().Get("Retry-After") == "" {
		seconds := (r.middleware.wait() + time.Second - 1) / time.Second
		r.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the real writer (flush, deadlines).
func (r *response) Unwrap() http.ResponseWriter {
	return r.ResponseWriter
}
