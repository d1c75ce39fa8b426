# One Durable Object class on SQLite storage on the disk; address and directory come from the
# command line (--socket-addr http=…, --directory-path storage=…).
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "storage", disk = (writable = true)),
  ],
  sockets = [(name = "http", http = (), service = "main")],
);

const main :Workerd.Worker = (
  compatibilityDate = "2026-10-01",
  modules = [(name = "worker", esModule = embed "actors.js")],
  durableObjectNamespaces = [
    (className = "BenchObject", uniqueKey = "denizen-bench", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [(name = "objects", durableObjectNamespace = "BenchObject")],
);
