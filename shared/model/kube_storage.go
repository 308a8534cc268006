package model

// KubePV is a persistent volume.
type KubePV struct {
	Metadata                      KubeMetadata `json:"metadata"`
	Phase                         string       `json:"phase"`
	Reason                        string       `json:"reason,omitempty"`
	Capacity                      string       `json:"capacity"`
	AccessModes                   []string     `json:"accessModes"`
	PersistentVolumeReclaimPolicy string       `json:"persistentVolumeReclaimPolicy"`
	StorageClassName              string       `json:"storageClassName,omitempty"`
	VolumeMode                    string       `json:"volumeMode,omitempty"`
	ClaimRef                      *KubeRef     `json:"claimRef,omitempty"`
}

// KubePVC is a persistent volume claim.
type KubePVC struct {
	Metadata         KubeMetadata `json:"metadata"`
	Phase            string       `json:"phase"`
	VolumeName       string       `json:"volumeName,omitempty"`
	StorageClassName string       `json:"storageClassName,omitempty"`
	VolumeMode       string       `json:"volumeMode,omitempty"`
	AccessModes      []string     `json:"accessModes"`
	Requested        string       `json:"requested,omitempty"`
	Capacity         string       `json:"capacity,omitempty"` // absent until it is bound
}
