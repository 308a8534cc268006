package clickhouse

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/atlhyper/observe/shared/model"
)

// What of a node's devices is not shown: file systems in memory or without room
// of their own, mounts that container runtimes make, interfaces of single pods.
func skippedFSTypes() []string {
	return []string{"tmpfs", "ramfs", "devtmpfs", "overlay", "aufs", "squashfs", "erofs", "iso9660", "nsfs", "autofs"}
}

func skippedMounts() []string {
	return []string{"/run", "/var/lib/kubelet", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers/storage", "/snap", "/boot/efi"}
}

func skippedInterfaces() []string {
	return []string{"veth", "cali", "cni", "flannel", "br-", "lxc", "kube-ipvs", "nodelocaldns"}
}

func skipInterface(name string) bool {
	return name == "lo" || name == "docker0" ||
		slices.ContainsFunc(skippedInterfaces(), func(p string) bool { return strings.HasPrefix(name, p) })
}

func skipFilesystem(fsType, mountPoint string) bool {
	return slices.Contains(skippedFSTypes(), fsType) || strings.HasPrefix(fsType, "fuse.") ||
		slices.ContainsFunc(skippedMounts(), func(dir string) bool { return within(mountPoint, dir) })
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// disks are the node's mounted devices and those with IO but no file system, by
// device, then mount point. The IO of a partition is its disk's where the
// exporter counts whole disks only (its default).
func (n *nodeSamples) disks() []model.NodeDisk {
	var (
		io    = n.diskIO()
		alias = make(map[string]string) // device mapper name to dm-N
		used  = make(map[string]bool)
		out   = []model.NodeDisk{}
	)
	for _, v := range n.values[mapperInfo] {
		alias[v.labels.get("name")] = v.labels.get("device")
	}
	for _, disk := range n.filesystems() {
		if name := ioDevice(disk.Device, io, alias); name != "" {
			used[name] = true
			rates := io[name]
			rates.Device, rates.MountPoint, rates.FSType = disk.Device, disk.MountPoint, disk.FSType
			rates.TotalBytes, rates.AvailBytes, rates.UsagePct = disk.TotalBytes, disk.AvailBytes, disk.UsagePct
			disk = rates
		}
		out = append(out, disk)
	}
	for name, disk := range io {
		if !used[name] {
			out = append(out, disk)
		}
	}
	slices.SortFunc(out, func(a, b model.NodeDisk) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.MountPoint, b.MountPoint))
	})
	return out
}

// diskIO is the IO of each block device by its kernel name; 0 where one sample
// tells no rate.
func (n *nodeSamples) diskIO() map[string]model.NodeDisk {
	io := make(map[string]model.NodeDisk)
	for _, f := range diskRates() {
		for _, v := range n.values[f.metric] {
			name := v.labels.get("device")
			d := io[name]
			d.Device = name
			*f.field(&d) += v.value * f.scale
			io[name] = d
		}
	}
	for name, d := range io {
		d.IOUtilPct = min(d.IOUtilPct, 100) // extrapolation may carry it beyond
		io[name] = d
	}
	return io
}

// filesystems are the node's file systems, each device once, at the shortest of
// its mount points: bind mounts repeat it.
func (n *nodeSamples) filesystems() []model.NodeDisk {
	avail := make(map[[2]string]float64)
	for _, v := range n.values[fsAvail] {
		avail[[2]string{v.labels.get("device"), v.labels.get("mountpoint")}] = v.value
	}
	root := n.hostRoot()
	byDevice := make(map[string]model.NodeDisk)
	for _, v := range n.values[fsSize] {
		device, mount, fsType := v.labels.get("device"), v.labels.get("mountpoint"), v.labels.get("fstype")
		free, ok := avail[[2]string{device, mount}]
		if root != "" && within(mount, root) {
			mount = "/" + strings.TrimPrefix(strings.TrimPrefix(mount, root), "/")
		}
		if !ok || v.value <= 0 || skipFilesystem(fsType, mount) {
			continue
		}
		if other, ok := byDevice[device]; ok && !shorter(mount, other.MountPoint) {
			continue
		}
		byDevice[device] = model.NodeDisk{
			Device: device, MountPoint: mount, FSType: fsType,
			TotalBytes: wholeNumber(v.value), AvailBytes: wholeNumber(free), UsagePct: percentage(1 - free/v.value),
		}
	}
	out := make([]model.NodeDisk, 0, len(byDevice))
	for _, d := range byDevice {
		out = append(out, d)
	}
	return out
}

func shorter(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

// hostRoot is where a containerised exporter sees the node's root file system,
// "" when it is at /.
func (n *nodeSamples) hostRoot() string {
	mounts := make(map[string]bool)
	for _, v := range n.values[fsSize] {
		mounts[v.labels.get("mountpoint")] = true
	}
	if mounts["/"] {
		return ""
	}
	for _, root := range []string{"/host/root", "/rootfs", "/host"} {
		if mounts[root] {
			return root
		}
	}
	return ""
}

// ioDevice finds the block device of a file system among those with IO: itself,
// the device mapper's dm-N, or the disk of a partition; "" if none has any.
func ioDevice(device string, io map[string]model.NodeDisk, alias map[string]string) string {
	name := strings.TrimPrefix(device, "/dev/")
	if dm, ok := alias[strings.TrimPrefix(name, "mapper/")]; ok {
		name = dm
	}
	disk := strings.TrimRight(name, "0123456789")
	for _, candidate := range []string{name, disk, strings.TrimSuffix(disk, "p")} {
		if _, ok := io[candidate]; ok && candidate != "" {
			return candidate
		}
	}
	return ""
}

// networks are the node's own interfaces, by name. Rates that one sample does not
// tell are 0.
func (n *nodeSamples) networks() []model.NodeNetwork {
	interfaces := make(map[string]*model.NodeNetwork)
	at := func(v labelled) *model.NodeNetwork {
		name := v.labels.get("device")
		if name == "" || skipInterface(name) {
			return nil
		}
		if interfaces[name] == nil {
			interfaces[name] = &model.NodeNetwork{Interface: name}
		}
		return interfaces[name]
	}
	for _, f := range networkRates() {
		for _, v := range n.values[f.metric] {
			if i := at(v); i != nil {
				*f.field(i) += v.value * f.scale
			}
		}
	}
	for _, v := range n.values[netUp] {
		if i := at(v); i != nil {
			i.Up = v.value == 1
		}
	}
	if len(n.values[netUp]) == 0 { // hostmetrics does not say
		for _, i := range interfaces {
			i.Up = i.RxPktPerSec+i.TxPktPerSec > 0
		}
	}
	for _, v := range n.values[netSpeed] {
		// The kernel says -1 Mbit/s where it does not know.
		if i := at(v); i != nil && v.value > 0 {
			i.SpeedBps = wholeNumber(v.value * 8)
		}
	}
	for _, v := range n.values[netMTU] {
		if i := at(v); i != nil {
			i.MTU = wholeNumber(v.value)
		}
	}
	out := make([]model.NodeNetwork, 0, len(interfaces))
	for _, i := range interfaces {
		out = append(out, *i)
	}
	slices.SortFunc(out, func(a, b model.NodeNetwork) int { return cmp.Compare(a.Interface, b.Interface) })
	return out
}

// wholeNumber rounds to the nearest int64 and keeps what is beyond it inside.
func wholeNumber(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(math.Round(f))
}

// percentage is a share as 0..100; extrapolation may carry a rate a little
// beyond what is possible.
func percentage(share float64) float64 { return min(max(share*100, 0), 100) }
