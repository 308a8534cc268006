package kube

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// protobuf is what bodies are asked for in: half the bytes and a fraction of the
// processor time of JSON. Errors may be JSON all the same.
const (
	protobuf = runtime.ContentTypeProtobuf
	accepted = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
)

// userAgent is who asks, in the API server's audit log.
const userAgent = "atlhyper-agent"

// clients has a REST client per group and version, which know the types of these and
// no others: a clientset would link every API of Kubernetes into the agent.
type clients struct {
	http     *http.Client
	typed    map[schema.GroupVersion]*rest.RESTClient
	metadata metadata.Interface
}

func newClients(api *rest.Config) (*clients, error) {
	cfg := rest.CopyConfig(api)
	// What there is to ask is bounded by the table, and each informer backs off.
	cfg.QPS = -1
	cfg.UserAgent = cmp.Or(cfg.UserAgent, userAgent)
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme, discoveryv1.AddToScheme,
	} {
		if err := add(types); err != nil {
			return nil, err
		}
	}
	c := &clients{http: httpClient, typed: make(map[schema.GroupVersion]*rest.RESTClient)}
	codecs := serializer.NewCodecFactory(types).WithoutConversion()
	for _, gv := range []schema.GroupVersion{
		corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, batchv1.SchemeGroupVersion,
		networkingv1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion,
	} {
		of := rest.CopyConfig(cfg)
		of.GroupVersion, of.NegotiatedSerializer = &gv, codecs
		of.ContentType, of.AcceptContentTypes = protobuf, accepted
		of.APIPath = "/apis"
		if gv.Group == "" {
			of.APIPath = "/api"
		}
		if c.typed[gv], err = rest.RESTClientForConfigAndClient(of, httpClient); err != nil {
			return nil, err
		}
	}
	c.metadata, err = metadata.NewForConfigAndClient(cfg, httpClient)
	return c, err
}

// close ends idle connections. The client's own method would find the transport hidden
// below what adds credentials.
func (c *clients) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// listWatch lists and watches the kind in all namespaces.
func (c *clients) listWatch(k kind) (*cache.ListWatch, error) {
	if _, ok := k.object.(*metav1.PartialObjectMetadata); ok {
		of := c.metadata.Resource(k.resource)
		return &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
				return of.List(ctx, options)
			},
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				return of.Watch(ctx, options)
			},
		}, nil
	}
	client, ok := c.typed[k.resource.GroupVersion()]
	if !ok {
		return nil, fmt.Errorf("no client for %s", k.resource)
	}
	return cache.NewListWatchFromClient(client, k.resource.Resource, metav1.NamespaceAll, fields.Everything()), nil
}

// revision is the newest resource version of the resource: etcd's own, since none is
// asked for. A list of one object without its content is the least that tells it.
func (c *clients) revision(ctx context.Context, of schema.GroupVersionResource) (string, error) {
	list, err := c.metadata.Resource(of).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", err
	}
	return list.ResourceVersion, nil
}
