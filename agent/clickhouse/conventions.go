package clickhouse

import (
	"cmp"
	"strings"
)

// attribute lists the names that one meaning has had over the generations of
// the semantic conventions, newest first. The names are part of SQL text, so
// they hold no quotes.
type attribute []string

// of returns the first non-empty value.
func (a attribute) of(attributes map[string]string) string {
	for _, name := range a {
		if v := attributes[name]; v != "" {
			return v
		}
	}
	return ""
}

// conventions is the table of the attributes that are read, by what they mean.
// Sources: semantic-conventions v1.44 and its migration guides for HTTP,
// database and RPC.
type conventions struct {
	// Resource attributes.
	ServiceNamespace attribute
	Environment      attribute
	Workload         attribute // names a process that has no service name
	ServiceVersion   attribute
	InstanceID       attribute
	PodName          attribute
	NodeName         attribute
	DeploymentName   attribute
	NamespaceName    attribute
	ClusterName      attribute

	// Span attributes.
	HTTPMethod     attribute
	HTTPStatus     attribute
	HTTPRoute      attribute
	HTTPURL        attribute // the full URL
	HTTPPath       attribute // path, with the query in the old generation
	HTTPQuery      attribute
	HTTPHost       attribute
	ServerAddress  attribute // what a client calls
	ServerPort     attribute
	ServingAddress attribute // what a server listens on
	ServingPort    attribute
	PeerAddress    attribute // the IP behind ServerAddress
	PeerService    attribute
	DBSystem       attribute
	DBName         attribute
	DBOperation    attribute
	DBTable        attribute
	DBStatement    attribute
	MessagingSys   attribute
	MessagingOp    attribute
	Destination    attribute // topic or queue; the template keeps temporary ones together
	RPCSystem      attribute
	RPCService     attribute // of the old generation
	RPCMethod      attribute // with the service in the new generation
	ErrorType      attribute
}

func semanticConventions() conventions {
	return conventions{
		ServiceNamespace: attribute{"service.namespace", "k8s.namespace.name"},
		Environment:      attribute{"deployment.environment.name", "deployment.environment"},
		Workload:         attribute{"k8s.deployment.name", "k8s.container.name", "k8s.pod.name"},
		ServiceVersion:   attribute{"service.version"},
		InstanceID:       attribute{"service.instance.id"},
		PodName:          attribute{"k8s.pod.name"},
		NodeName:         attribute{"k8s.node.name"}, // host.name is the pod's in a pod
		DeploymentName:   attribute{"k8s.deployment.name"},
		NamespaceName:    attribute{"k8s.namespace.name", "service.namespace"},
		ClusterName:      attribute{"k8s.cluster.name", "cluster.name"},

		HTTPMethod:     attribute{"http.request.method", "http.method"},
		HTTPStatus:     attribute{"http.response.status_code", "http.status_code"},
		HTTPRoute:      attribute{"http.route"},
		HTTPURL:        attribute{"url.full", "http.url"},
		HTTPPath:       attribute{"url.path", "http.target"},
		HTTPQuery:      attribute{"url.query"},
		HTTPHost:       attribute{"http.host"},
		ServerAddress:  attribute{"server.address", "net.peer.name"},
		ServerPort:     attribute{"server.port", "net.peer.port"},
		ServingAddress: attribute{"server.address", "net.host.name"},
		ServingPort:    attribute{"server.port", "net.host.port"},
		PeerAddress:    attribute{"network.peer.address", "net.sock.peer.addr", "net.peer.ip"},
		PeerService:    attribute{"service.peer.name", "peer.service"},
		DBSystem:       attribute{"db.system.name", "db.system"},
		DBName:         attribute{"db.namespace", "db.name", "db.mssql.instance_name", "db.redis.database_index"},
		DBOperation:    attribute{"db.operation.name", "db.operation"},
		DBTable: attribute{
			"db.collection.name", "db.sql.table", "db.mongodb.collection", "db.cassandra.table", "db.cosmosdb.container",
		},
		DBStatement:  attribute{"db.query.text", "db.statement"},
		MessagingSys: attribute{"messaging.system"},
		MessagingOp:  attribute{"messaging.operation.type", "messaging.operation"},
		RPCSystem:    attribute{"rpc.system.name", "rpc.system"},
		RPCService:   attribute{"rpc.service"},
		RPCMethod:    attribute{"rpc.method"},
		Destination: attribute{
			"messaging.destination.template", "messaging.destination.name", "messaging.destination",
		},
		ErrorType: attribute{"error.type"},
	}
}

// renamedDatabases lists the database systems that the stable conventions renamed,
// old name first, so that callers of both generations meet in one node.
func renamedDatabases() (before, after []string) {
	return []string{
			"mssql", "oracle", "db2", "dynamodb", "redshift",
			"cosmosdb", "spanner", "h2", "firebird", "hanadb",
		}, []string{
			"microsoft.sql_server", "oracle.db", "ibm.db2", "aws.dynamodb", "aws.redshift",
			"azure.cosmosdb", "gcp.spanner", "h2database", "firebirdsql", "sap.hana",
		}
}

// unknownService is what OpenTelemetry calls a service that has no name.
const unknownService = "unknown_service"

// Collectors before v0.109 wrote the names of the protocol's enums, later ones
// shorten them; replies always hold the long form.
const (
	spanKindPrefix   = "SPAN_KIND_"
	statusCodePrefix = "STATUS_CODE_"
)

// enumName returns the long form of an enum's value; "" becomes <prefix>unset.
func enumName(prefix, value, unset string) string {
	if strings.HasPrefix(value, prefix) {
		return value
	}
	return prefix + strings.ToUpper(cmp.Or(value, unset))
}

func spanKind(column string) string   { return enumName(spanKindPrefix, column, "UNSPECIFIED") }
func statusCode(column string) string { return enumName(statusCodePrefix, column, "UNSET") }
