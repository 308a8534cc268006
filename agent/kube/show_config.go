package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/atlhyper/observe/shared/model"
)

func showNamespace(n *corev1.Namespace) *model.KubeNamespace {
	return &model.KubeNamespace{Metadata: metadataOf(&n.ObjectMeta), Phase: string(n.Status.Phase)}
}

func showConfigMap(c *corev1.ConfigMap) *model.KubeConfigMap {
	return &model.KubeConfigMap{
		Metadata: metadataOf(&c.ObjectMeta), Keys: keys(c.Data, c.BinaryData), Immutable: or(c.Immutable, false),
	}
}

// showSecret takes the names of the keys and nothing of what they hold.
func showSecret(s *corev1.Secret) *model.KubeSecret {
	return &model.KubeSecret{
		Metadata: metadataOf(&s.ObjectMeta), Type: string(s.Type), Keys: keys(s.Data, s.StringData), Immutable: or(s.Immutable, false),
	}
}

func showServiceAccount(s *metav1.PartialObjectMetadata) *model.KubeServiceAccount {
	return &model.KubeServiceAccount{Metadata: metadataOf(&s.ObjectMeta)}
}

func showResourceQuota(q *corev1.ResourceQuota) *model.KubeResourceQuota {
	return &model.KubeResourceQuota{
		Metadata: metadataOf(&q.ObjectMeta), Hard: quantities(q.Spec.Hard), Used: quantities(q.Status.Used),
	}
}

func showLimitRange(l *corev1.LimitRange) *model.KubeLimitRange {
	out := &model.KubeLimitRange{Metadata: metadataOf(&l.ObjectMeta), Limits: make([]model.KubeLimitItem, len(l.Spec.Limits))}
	for i, item := range l.Spec.Limits {
		out.Limits[i] = model.KubeLimitItem{
			Type: string(item.Type), Max: quantities(item.Max), Min: quantities(item.Min), Default: quantities(item.Default),
			DefaultRequest: quantities(item.DefaultRequest), MaxLimitRequestRatio: quantities(item.MaxLimitRequestRatio),
		}
	}
	return out
}

func showPV(v *corev1.PersistentVolume) *model.KubePV {
	out := &model.KubePV{
		Metadata: metadataOf(&v.ObjectMeta), Phase: string(v.Status.Phase), Reason: v.Status.Reason,
		Capacity: quantity(v.Spec.Capacity, corev1.ResourceStorage), AccessModes: texts(v.Spec.AccessModes),
		PersistentVolumeReclaimPolicy: string(v.Spec.PersistentVolumeReclaimPolicy),
		StorageClassName:              v.Spec.StorageClassName, VolumeMode: string(or(v.Spec.VolumeMode, "")),
	}
	if c := v.Spec.ClaimRef; c != nil {
		out.ClaimRef = &model.KubeRef{Namespace: c.Namespace, Name: c.Name}
	}
	return out
}

func showPVC(c *corev1.PersistentVolumeClaim) *model.KubePVC {
	return &model.KubePVC{
		Metadata: metadataOf(&c.ObjectMeta), Phase: string(c.Status.Phase), VolumeName: c.Spec.VolumeName,
		StorageClassName: or(c.Spec.StorageClassName, ""), VolumeMode: string(or(c.Spec.VolumeMode, "")),
		AccessModes: texts(c.Spec.AccessModes),
		Requested:   quantity(c.Spec.Resources.Requests, corev1.ResourceStorage),
		Capacity:    quantity(c.Status.Capacity, corev1.ResourceStorage),
	}
}
