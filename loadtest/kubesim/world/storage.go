package world

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const storageClass = "standard"

// storage adds a claim and its volume for each replica that has a disk, a claim that no
// volume fits, and a volume whose claim is gone.
func (m *moment) storage() {
	for i := range m.apps {
		a := &m.apps[i]
		if a.disk == "" {
			continue
		}
		for slot := range a.replicas {
			name := fmt.Sprintf("data-%s-%d", a.name, slot)
			m.claim(a.namespace, name, a.disk, corev1.ClaimBound, m.volume(a.namespace, name, a.disk, corev1.VolumeBound))
		}
	}
	m.claim(m.cfg.shop(), "reports", "500Gi", corev1.ClaimPending, "")
	m.volume(media, "uploads-old", "50Gi", corev1.VolumeReleased)
}

func (m *moment) claim(namespace, name, size string, phase corev1.PersistentVolumeClaimPhase, volume string) {
	capacity := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}
	class := storageClass
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: m.cfg.object("PersistentVolumeClaim", namespace, name, m.claimed(namespace, name), nil)}
	claim.Spec = corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: &class, VolumeName: volume,
		VolumeMode: new(corev1.PersistentVolumeFilesystem), Resources: corev1.VolumeResourceRequirements{Requests: capacity},
	}
	claim.Status.Phase = phase
	if phase == corev1.ClaimBound {
		claim.Status.Capacity, claim.Status.AccessModes = capacity.DeepCopy(), claim.Spec.AccessModes
	}
	m.add(claim)
}

// claimed is when a claim was made.
func (m *moment) claimed(namespace, name string) time.Time {
	return m.cfg.old("claim", namespace, name)
}

// volume adds the volume of a claim and returns its name.
func (m *moment) volume(namespace, claim, size string, phase corev1.PersistentVolumePhase) string {
	name := "pvc-" + string(m.cfg.uid("PersistentVolumeClaim", namespace, claim, m.claimed(namespace, claim).Unix()))
	volume := &corev1.PersistentVolume{ObjectMeta: m.cfg.object("PersistentVolume", "", name, m.claimed(namespace, claim).Add(2*time.Second), nil)}
	volume.Spec = corev1.PersistentVolumeSpec{
		Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: storageClass,
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, VolumeMode: new(corev1.PersistentVolumeFilesystem),
		ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: namespace, Name: claim},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "disk.csi.example.com", VolumeHandle: "vol-" + m.cfg.suffix(12, claim)}},
	}
	volume.Status = corev1.PersistentVolumeStatus{Phase: phase, LastPhaseTransitionTime: new(metav1.NewTime(volume.CreationTimestamp.Add(time.Second)))}
	m.add(volume)
	return name
}
