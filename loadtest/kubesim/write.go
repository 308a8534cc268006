package kubesim

import (
	"errors"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// maxBody bounds what is sent to us; leases are far smaller.
const maxBody = 64 << 10

// put creates an object, or updates the one that the path names.
func (s *Server) put(w http.ResponseWriter, r *http.Request, of *resource) {
	m, err := s.negotiate(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	object, accessor, err := s.readBody(w, r, of)
	if err != nil {
		s.fail(w, err)
		return
	}
	name, creates := nameOf(accessor), r.Method == http.MethodPost
	code := http.StatusOK
	if creates {
		code = http.StatusCreated
	}
	stored, err := s.store.change(of, name, func(before runtime.Object) (runtime.Object, error) {
		switch {
		case creates && before != nil:
			return nil, apierrors.NewAlreadyExists(of.GroupResource(), name.Name)
		case creates:
			if accessor.GetResourceVersion() != "" {
				return nil, badRequest("resourceVersion should not be set on objects to be created")
			}
			s.complete(accessor, nil)
			return object, nil
		case before == nil:
			return nil, apierrors.NewNotFound(of.GroupResource(), name.Name)
		}
		was, err := meta.Accessor(before)
		if err != nil {
			return nil, err
		}
		if v := accessor.GetResourceVersion(); v != "" && v != was.GetResourceVersion() {
			return nil, apierrors.NewConflict(of.GroupResource(), name.Name,
				errors.New("the object has been modified; please apply your changes to the latest version and try again"))
		}
		s.complete(accessor, was)
		return object, nil
	})
	if err != nil {
		s.fail(w, err)
		return
	}
	s.send(w, m, s.encoder(m, of), code, stored)
}

// readBody reads the object of a request, of the kind and name that its path has.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, of *resource) (runtime.Object, metav1.Object, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, nil, badRequest("the body: %v", err)
	}
	gvk := of.gvk()
	object, got, err := s.decoder.Decode(data, &gvk, nil)
	if err != nil {
		return nil, nil, badRequest("the body: %v", err)
	}
	if *got != gvk {
		return nil, nil, badRequest("the body is a %s, not a %s", got.Kind, gvk.Kind)
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, nil, err
	}
	if accessor.GetNamespace() == "" {
		accessor.SetNamespace(r.PathValue("namespace"))
	}
	want := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	if want.Name == "" {
		want.Name = accessor.GetName()
	}
	if want.Name == "" {
		return nil, nil, badRequest("metadata.name is required")
	}
	if nameOf(accessor) != want {
		return nil, nil, badRequest("the body is %s, the path %s", nameOf(accessor), want)
	}
	object.GetObjectKind().SetGroupVersionKind(gvk)
	return object, accessor, nil
}
