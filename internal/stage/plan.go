// Package stage is the step between a server and bubblewrap: a small process
// that joins the cgroup, takes limits upon itself, lays out what is to be seen
// inside, gives up root, and then becomes bubblewrap. It must be a process of
// its own, since all of that holds for whole processes. In the new root the same
// program stands before the command once more, to confine it with Landlock. It is
// linked into stoa-init, so its imports are few.
package stage

// Plan is what a stage is told, as JSON on the descriptor that its one argument
// names.
type Plan struct {
	Cgroups []string `json:"cgroups,omitempty"` // lists of threads to write "0" into
	Limits  []Limit  `json:"limits,omitempty"`
	Mounts  []Mount  `json:"mounts,omitempty"`
	// UID is the user and group to become; 0 means to stay who we are. With one
	// there must be a mount namespace of our own.
	UID    int    `json:"uid,omitempty"`
	Status int    `json:"status"` // the descriptor for Failure; bubblewrap's status comes there next
	Last   int    `json:"last"`   // descriptor that bubblewrap gets; those behind it are closed
	Path   string `json:"path"`   // of bubblewrap
	// Args are bubblewrap's, without its name. They hold nothing secret: any user
	// of the machine can read a command line.
	Args []string `json:"args"`
}

// Limit is a resource limit, soft and hard.
type Limit struct {
	Which int    `json:"which"`
	Value uint64 `json:"value"`
}

// Mount is a file or folder of the host to be shown at Folder/Name.
type Mount struct {
	Source string `json:"source"`
	Name   string `json:"name"`
	Write  bool   `json:"write,omitempty"`
}

// Folder is where mounts are laid out, in the stage's own mount namespace: over
// a folder that every machine has and every user may enter.
const Folder = "/tmp"

// Failure is what comes on the status descriptor, on a line, where the stage
// fails. bubblewrap writes objects without such a field.
type Failure struct {
	Stage string `json:"stage"` // what went wrong
}
