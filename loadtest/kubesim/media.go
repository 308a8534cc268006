package kubesim

import (
	"cmp"
	"net/http"

	"github.com/munnerz/goautoneg"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// media is the form that a client wants an answer in.
type media struct {
	runtime.SerializerInfo
	partial bool // metadata only
}

// negotiate picks the first form that the client accepts and we have. A list of
// what is asked for as a Table (kubectl) always goes on with a form that we have.
func (s *Server) negotiate(r *http.Request) (media, error) {
	header := cmp.Or(r.Header.Get("Accept"), runtime.ContentTypeJSON)
	for _, clause := range goautoneg.ParseAccept(header) {
		name := clause.Type + "/" + clause.SubType
		if name == "*/*" || name == "application/*" {
			name = runtime.ContentTypeJSON
		}
		info, ok := runtime.SerializerInfoForMediaType(s.codecs.SupportedMediaTypes(), name)
		if !ok || info.StreamSerializer == nil {
			continue
		}
		switch as := clause.Params["as"]; {
		case as == "":
			return media{SerializerInfo: info}, nil
		case clause.Params["g"] == metav1.GroupName && clause.Params["v"] == "v1" &&
			(as == "PartialObjectMetadata" || as == "PartialObjectMetadataList"):
			return media{SerializerInfo: info, partial: true}, nil
		}
	}
	return media{}, apierrors.NewGenericServerResponse(http.StatusNotAcceptable, r.Method, schema.GroupResource{}, "", "only JSON and protobuf are served", 0, false)
}

// shape is the object as the client wants it.
func (m media) shape(object runtime.Object) (runtime.Object, error) {
	if !m.partial {
		return object, nil
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	out := meta.AsPartialObjectMetadata(accessor)
	out.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata"))
	return out, nil
}

// encoder writes objects of the resource in the form that is wanted.
func (s *Server) encoder(m media, of *resource) runtime.Encoder {
	gv := of.GroupVersion()
	if m.partial {
		gv = metav1.SchemeGroupVersion
	}
	return s.codecs.EncoderForVersion(m.Serializer, gv)
}

// list makes the list of the objects.
func (s *Server) list(m media, of *resource, objects []runtime.Object, listMeta metav1.ListMeta) (runtime.Object, error) {
	if m.partial {
		out := &metav1.PartialObjectMetadataList{ListMeta: listMeta, Items: make([]metav1.PartialObjectMetadata, len(objects))}
		for i, object := range objects {
			accessor, err := meta.Accessor(object)
			if err != nil {
				return nil, err
			}
			out.Items[i] = *meta.AsPartialObjectMetadata(accessor)
		}
		return out, nil
	}
	gvk := of.gvk()
	gvk.Kind += "List"
	out, err := s.scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	if err := meta.SetList(out, objects); err != nil {
		return nil, err
	}
	// The list has copies of the objects; as on a real API server, it says once what they are.
	err = meta.EachListItem(out, func(item runtime.Object) error {
		item.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		return nil
	})
	if err != nil {
		return nil, err
	}
	accessor, err := meta.ListAccessor(out)
	if err != nil {
		return nil, err
	}
	accessor.SetResourceVersion(listMeta.ResourceVersion)
	accessor.SetContinue(listMeta.Continue)
	accessor.SetRemainingItemCount(listMeta.RemainingItemCount)
	return out, nil
}

// send answers with one object.
func (s *Server) send(w http.ResponseWriter, m media, encoder runtime.Encoder, code int, object runtime.Object) {
	data, err := runtime.Encode(encoder, object)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", m.MediaType)
	w.WriteHeader(code)
	if _, err := w.Write(data); err != nil {
		s.cfg.Logger.Debug("a client is gone", "error", err)
	}
}

// fail answers with an error, in JSON: all clients read it.
func (s *Server) fail(w http.ResponseWriter, err error) {
	status := statusOf(err)
	info, _ := runtime.SerializerInfoForMediaType(s.codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	s.send(w, media{SerializerInfo: info}, s.codecs.EncoderForVersion(info.Serializer, schema.GroupVersion{Version: "v1"}), int(status.Code), status)
}
