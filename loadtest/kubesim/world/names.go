package world

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// keyOf tells objects apart.
func keyOf(object runtime.Object) (string, error) {
	accessor, err := meta.Accessor(object)
	if err != nil {
		return "", fmt.Errorf("world: %w", err)
	}
	return fmt.Sprintf("%T %s/%s", object, accessor.GetNamespace(), accessor.GetName()), nil
}

// hash is what is random about a thing: always the same for it.
func (c Config) hash(of ...any) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendln(nil, append([]any{c.Name, c.Seed}, of...)...))
}

// below is a number from 0 to n-1.
func (c Config) below(n int, of ...any) int {
	sum := c.hash(of...)
	return int(binary.BigEndian.Uint64(sum[:]) % uint64(n)) //nolint:gosec // n is positive and small
}

// suffix is n of the characters that Kubernetes makes names of, which spell no words.
func (c Config) suffix(n int, of ...any) string {
	const characters = "bcdfghjklmnpqrstvwxz2456789"
	sum := c.hash(append(of, "suffix")...)
	out := make([]byte, n)
	for i := range out {
		out[i] = characters[int(sum[i])%len(characters)]
	}
	return string(out)
}

// uid has the form of a random UUID.
func (c Config) uid(of ...any) types.UID {
	sum := c.hash(append(of, "uid")...)
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return types.UID(strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"))
}

// address is 10.Number.c.d, as the telemetry has it.
func (c Config) address(third, fourth int) string {
	return netip.AddrFrom4([4]byte{10, c.Number, byte(third), byte(fourth)}).String() //nolint:gosec // both are below 256
}

// serviceIP is an address of the range that services have.
func (c Config) serviceIP(of ...any) string {
	return fmt.Sprintf("10.96.%d.%d", c.below(250, of, "third"), 1+c.below(250, of, "fourth"))
}

// shop is the namespace that is called so in the telemetry.
func (c Config) shop() string {
	if c.Number == 0 {
		return "shop"
	}
	return fmt.Sprintf("shop%d", c.Number)
}

// old is a time of creation in the days before the start, the same for the same thing.
func (c Config) old(of ...any) time.Time {
	const least = 2 * time.Hour
	span := int((age - 24*time.Hour - least) / time.Second)
	return c.Start.Add(-least - time.Duration(c.below(span, of...))*time.Second)
}

// object is the metadata of something that was created at a time.
func (c Config) object(kind, namespace, name string, created time.Time, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, Labels: labels, UID: c.uid(kind, namespace, name, created.Unix()),
		CreationTimestamp: metav1.NewTime(created),
	}
}

// annotated adds what kubectl apply leaves behind: a copy of the object, and so of all
// that may be in one.
func annotated(m metav1.ObjectMeta) metav1.ObjectMeta {
	m.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"password":"` + Marker + `"}}`}
	return m
}

// controlled says what controls the object.
func controlled(m metav1.ObjectMeta, apiVersion, kind string, by metav1.ObjectMeta) metav1.ObjectMeta {
	m.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: apiVersion, Kind: kind, Name: by.Name, UID: by.UID, Controller: new(true), BlockOwnerDeletion: new(true),
	}}
	return m
}

func appLabels(name string) map[string]string { return map[string]string{"app": name} }
