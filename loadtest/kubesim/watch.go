package kubesim

import (
	"context"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	restwatch "k8s.io/client-go/rest/watch"
)

// stream is one watch.
type stream struct {
	server    *Server
	of        *resource
	namespace string
	options   options
	media     media
	encoder   *restwatch.Encoder
	flush     func() error
	// sent is the version up to which the client knows all.
	sent uint64
}

// watch serves a watch until the client goes, its time is over or the server ends.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, m media, of *resource, namespace string, opts options) {
	initial := opts.SendInitialEvents != nil && *opts.SendInitialEvents
	if initial && opts.version > s.store.now() {
		s.fail(w, tooLarge(opts.version, s.store.now()))
		return
	}
	if initial && (!opts.AllowWatchBookmarks || opts.ResourceVersionMatch != metav1.ResourceVersionMatchNotOlderThan) {
		s.fail(w, badRequest("sendInitialEvents needs allowWatchBookmarks and resourceVersionMatch=NotOlderThan"))
		return
	}
	contentType := m.MediaType
	if !m.EncodesAsText {
		contentType += ";stream=watch"
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	frames := m.StreamSerializer.NewFrameWriter(w)
	st := &stream{
		server: s, of: of, namespace: namespace, options: opts, media: m,
		encoder: restwatch.NewEncoder(
			streaming.NewEncoder(frames, s.codecs.EncoderForVersion(m.StreamSerializer.Serializer, of.GroupVersion())), s.encoder(m, of)),
		flush: http.NewResponseController(w).Flush,
	}
	ctx := r.Context()
	if opts.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opts.timeout)
		defer cancel()
	}
	if err := st.run(ctx, initial); err != nil {
		s.cfg.Logger.Debug("a watch ended", "resource", of.Resource, "error", err)
	}
}

func (st *stream) run(ctx context.Context, initial bool) error {
	st.sent = st.options.version
	if initial || st.options.version == 0 {
		if err := st.begin(initial); err != nil {
			return err
		}
	}
	if err := st.flush(); err != nil {
		return err
	}
	ticker := time.NewTicker(st.server.cfg.BookmarkEvery)
	defer ticker.Stop()
	for {
		changed, err := st.catchUp()
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ticker.C:
			if st.options.AllowWatchBookmarks {
				if err := st.bookmark(nil); err != nil {
					return err
				}
			}
		case <-st.server.ending:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// begin sends what is there, and that this is all when the client asked for it.
func (st *stream) begin(mark bool) error {
	objects, version := st.server.store.list(st.of, st.namespace)
	for _, object := range objects {
		if err := st.send(watch.Event{Type: watch.Added, Object: object}); err != nil {
			return err
		}
	}
	st.sent = version
	if !mark {
		return nil
	}
	return st.bookmark(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
}

// catchUp sends what changed since, and returns what tells of the next change.
func (st *stream) catchUp() (<-chan struct{}, error) {
	events, next, changed, err := st.server.store.since(st.sent, st.of, st.namespace)
	if err != nil {
		if apierrors.IsResourceExpired(err) {
			// A watch that has begun has no other place for an error.
			if err := st.encoder.Encode(&watch.Event{Type: watch.Error, Object: statusOf(err)}); err != nil {
				return nil, err
			}
		}
		return nil, err
	}
	for _, event := range events {
		if err := st.send(event); err != nil {
			return nil, err
		}
	}
	st.sent = next
	if len(events) == 0 {
		return changed, nil
	}
	return changed, st.flush()
}

func (st *stream) send(event watch.Event) error {
	var err error
	if event.Object, err = st.media.shape(event.Object); err != nil {
		return err
	}
	return st.encoder.Encode(&event)
}

// bookmark says up to where the client knows all.
func (st *stream) bookmark(annotations map[string]string) error {
	object, err := st.emptyObject(annotations)
	if err != nil {
		return err
	}
	if err := st.send(watch.Event{Type: watch.Bookmark, Object: object}); err != nil {
		return err
	}
	return st.flush()
}

func (st *stream) emptyObject(annotations map[string]string) (runtime.Object, error) {
	object, err := st.server.scheme.New(st.of.gvk())
	if err != nil {
		return nil, err
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	accessor.SetResourceVersion(text(st.sent))
	accessor.SetAnnotations(annotations)
	return object, nil
}
