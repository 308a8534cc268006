// Package redisflags are the flags that say where Redis is and who is asking.
package redisflags

import "github.com/atlhyper/observe/redis/conn"

// Conn are the flags of every command that talks to Redis; embed it. It needs the
// variable redis, the default URL.
type Conn struct {
	Redis             string `help:"URL of Redis: redis://host:6379/0, redis-sentinel://host1,host2/primary or redis-cluster://host1,host2; rediss, rediss-sentinel and rediss-cluster for TLS." default:"${redis}" placeholder:"URL"`
	RedisUsername     string `help:"ACL user of Redis, unless it is in the URL." placeholder:"NAME"`
	RedisPassword     string `help:"Password of Redis, unless it is in the URL. Who can list processes sees arguments: use the environment variable or a file." placeholder:"TEXT"`
	RedisPasswordFile string `help:"File with the password of Redis, read for every new connection." placeholder:"PATH"`

	RedisSentinelUsername     string `help:"ACL user of the Sentinels." placeholder:"NAME"`
	RedisSentinelPassword     string `help:"Password of the Sentinels." placeholder:"TEXT"`
	RedisSentinelPasswordFile string `help:"File with the password of the Sentinels, read at the start." placeholder:"PATH"`

	RedisCAFile     string `name:"redis-ca-file" help:"PEM file of the authorities that may sign the certificates of Redis; by default the system's." placeholder:"PATH"`
	RedisCertFile   string `help:"PEM file of the client's certificate, read for every new connection." placeholder:"PATH"`
	RedisKeyFile    string `help:"PEM file of its key." placeholder:"PATH"`
	RedisServerName string `help:"Name that the certificates of Redis must be for; by default the host that is connected to." placeholder:"NAME"`
}

// Auth is who is asking.
func (c Conn) Auth() conn.Auth {
	return conn.Auth{
		Username: c.RedisUsername, Password: c.RedisPassword, PasswordFile: c.RedisPasswordFile,
		SentinelUsername: c.RedisSentinelUsername, SentinelPassword: c.RedisSentinelPassword,
		SentinelPasswordFile: c.RedisSentinelPasswordFile,
	}
}

// TLS is how servers are trusted.
func (c Conn) TLS() conn.TLS {
	return conn.TLS{CAFile: c.RedisCAFile, CertFile: c.RedisCertFile, KeyFile: c.RedisKeyFile, ServerName: c.RedisServerName}
}
