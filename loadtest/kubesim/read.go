package kubesim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"k8s.io/apimachinery/pkg/api/meta"
)

// options are the parameters of a list or a watch that we know.
type options struct {
	metav1.ListOptions
	version uint64 // of ResourceVersion; 0: any
	timeout time.Duration
}

// readOptions refuses what would need more than is simulated, rather than to answer
// something else than was asked for.
func readOptions(query url.Values) (options, error) {
	var out options
	if err := metav1.Convert_url_Values_To_v1_ListOptions(&query, &out.ListOptions, nil); err != nil {
		return out, badRequest("%v", err)
	}
	if out.LabelSelector != "" || out.FieldSelector != "" {
		return out, badRequest("labelSelector and fieldSelector are not simulated")
	}
	if v := out.ResourceVersion; v != "" {
		var err error
		if out.version, err = strconv.ParseUint(v, 10, 64); err != nil {
			return out, badRequest("resourceVersion: invalid value %q", v)
		}
	}
	if out.Limit < 0 {
		return out, badRequest("limit: %d is negative", out.Limit)
	}
	if out.ResourceVersionMatch == metav1.ResourceVersionMatchExact {
		return out, badRequest("resourceVersionMatch=Exact is not simulated")
	}
	if t := out.TimeoutSeconds; t != nil && *t > 0 {
		out.timeout = time.Duration(min(*t, int64(time.Hour/time.Second))) * time.Second
	}
	return out, nil
}

func (s *Server) getOne(w http.ResponseWriter, r *http.Request, of *resource) {
	m, err := s.negotiate(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	name := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	object := s.store.get(of, name)
	if object == nil {
		s.fail(w, apierrors.NewNotFound(of.GroupResource(), name.Name))
		return
	}
	shaped, err := m.shape(object)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.send(w, m, s.encoder(m, of), http.StatusOK, shaped)
}

func (s *Server) getList(w http.ResponseWriter, m media, of *resource, namespace string, opts options) {
	objects, version := s.store.list(of, namespace)
	if opts.version > version {
		s.fail(w, tooLarge(opts.version, version))
		return
	}
	listMeta := metav1.ListMeta{ResourceVersion: text(version)}
	objects, err := page(objects, opts, version, &listMeta)
	if err != nil {
		s.fail(w, err)
		return
	}
	list, err := s.list(m, of, objects, listMeta)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.send(w, m, s.encoder(m, of), http.StatusOK, list)
}

// token is where a page ends. It holds for the version that the first page is of.
type token struct {
	Version uint64               `json:"v"`
	After   types.NamespacedName `json:"a"`
}

// page cuts the objects to what the options ask for. Objects of earlier versions are
// not kept: after a change, a token has expired, and the client lists anew.
func page(objects []runtime.Object, opts options, version uint64, listMeta *metav1.ListMeta) ([]runtime.Object, error) {
	if opts.Continue != "" {
		var t token
		data, err := base64.RawURLEncoding.DecodeString(opts.Continue)
		if err == nil {
			err = json.Unmarshal(data, &t)
		}
		if err != nil {
			return nil, badRequest("continue key is not valid: %v", err)
		}
		if t.Version != version {
			return nil, expired(t.Version, version)
		}
		at, _ := slices.BinarySearchFunc(objects, t.After, func(o runtime.Object, after types.NamespacedName) int {
			if byName(keyOf(o), after) <= 0 {
				return -1
			}
			return 1
		})
		objects = objects[at:]
	}
	if opts.Limit == 0 || int64(len(objects)) <= opts.Limit {
		return objects, nil
	}
	rest := int64(len(objects)) - opts.Limit
	objects = objects[:opts.Limit]
	data, err := json.Marshal(token{Version: version, After: keyOf(objects[len(objects)-1])})
	if err != nil {
		return nil, err
	}
	listMeta.Continue, listMeta.RemainingItemCount = base64.RawURLEncoding.EncodeToString(data), &rest
	return objects, nil
}

// keyOf is an object's name; all that are stored have one.
func keyOf(object runtime.Object) types.NamespacedName {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return types.NamespacedName{}
	}
	return nameOf(accessor)
}
