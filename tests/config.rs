//! What a `sidecar.yaml` means, and what is said about one that cannot be used.

use std::io::ErrorKind;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use twintree::config::{
    ClientConfig, Config, ConfigError, HostNameError, MAX_BYTES, Mistake, Reading, Role, Settings, ValueProblem,
};
use twintree::model::CacheMode;

/// One instance with nothing but what must be there.
const MINIMAL: &str = "cassandra_instances:\n  - id: 1\n    host: localhost1\n    storage_dir: /c\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("sidecar.yaml"), Some(Path::new("/home/me")))
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The minimal file with more sections after it.
fn with(sections: &str) -> String {
    format!("{MINIMAL}{sections}")
}

/// The minimal file with more keys in its instance.
fn instance_with(keys: &str) -> String {
    format!("cassandra_instances:\n  - id: 1\n    host: localhost1\n{keys}")
}

fn mistakes(text: &str) -> Vec<Mistake> {
    match parse(text) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.mistakes,
    }
}

/// The only mistake of a text, as line, key and problem.
fn mistake(text: &str) -> (Option<u64>, String, ValueProblem) {
    let mut all = mistakes(text);
    assert_eq!(all.len(), 1, "{all:?}");
    let Mistake { line, key, problem } = all.remove(0);
    (line, key, problem)
}

fn roots(config: &Config) -> Vec<String> {
    let roots = &config.instances[0].roots;
    roots.iter().map(|(root, path)| format!("{root} {}", path.display())).collect()
}

/// The file that ships as an example is accepted, and shows the defaults.
#[test]
fn the_example_is_accepted() {
    let text = include_str!("../docs/sidecar.example.yaml");
    let config = good(text);
    let plain = good(MINIMAL);
    assert_eq!(config.sidecar, plain.sidecar);
    assert_eq!(config.client, plain.client);
    assert_eq!(config.live_migration.rules, plain.live_migration.rules);
    assert_eq!(config.live_migration.migration_map.pairs().len(), 1);
    let unset = Settings { state_dir: None, threads: None, ..config.twintree.clone() };
    assert_eq!(unset, plain.twintree);
    assert_eq!(roots(&config)[..2], ["data/0 /data1/cassandra/data", "data/1 /data2/cassandra/data"]);

    // The keys it shows as comments are keys, and but for the last one they have the default values.
    let uncomment = |line: &str| match line.strip_prefix("    #") {
        Some(key) if !key.starts_with(' ') => format!("    {key}\n"),
        _ => format!("{line}\n"),
    };
    let all_keys: String = text.lines().map(uncomment).collect();
    let mut expected = roots(&config);
    expected.push("local_system_data/0 /var/lib/cassandra/local_system_data".to_owned());
    assert_eq!(roots(&good(&all_keys)), expected);
}

/// What the file leaves out has the Sidecar's defaults.
#[test]
fn absent_keys_have_defaults() {
    for text in [MINIMAL.to_owned(), with("sidecar:\nlive_migration: ~\nsidecar_client: {}\ntwintree:\nssl:\n")] {
        let config = good(&text);
        assert_eq!((config.sidecar.host.as_str(), config.sidecar.port), ("0.0.0.0", 9043));
        let rules = &config.live_migration.rules;
        assert_eq!(rules.file_patterns().count(), 0);
        assert_eq!(rules.directory_patterns().collect::<Vec<_>>(), ["glob:${DATA_FILE_DIR}/*/*/snapshots"]);
        assert!(config.live_migration.migration_map.pairs().is_empty());
        assert_eq!(config.live_migration.max_concurrent_file_requests, 20);
        let client = ClientConfig {
            request_timeout: Duration::from_secs(30),
            request_idle_timeout: Duration::from_secs(30),
            connection_pool_max_size: 10,
            max_retries: 5,
            retry_delay: Duration::from_millis(500),
            max_retry_delay: Duration::from_secs(10),
        };
        assert_eq!(config.client, client);
        let settings = Settings {
            state_dir: None,
            threads: None,
            history_max_tasks: 1000,
            history_max_age: Duration::from_secs(90 * 24 * 3600),
            resume_unfinished_tasks: true,
            manifest_retention: Duration::from_secs(24 * 3600),
            serve_manifests: true,
            memory_limit: 1 << 30,
            reading: Reading {
                limit: None,
                direct: false,
                cache: None,
                cache_max_age: Duration::from_secs(30 * 24 * 3600),
                warm_every: None,
                warm_limit: None,
            },
        };
        assert_eq!(config.twintree, settings);
    }
}

/// Every key that is read has the value of the file, and an empty list of exclusions is not the default one.
#[test]
fn every_key_is_read() {
    let config = good(&format!(
        "{}{}",
        instance_with("    port: 9042\n    storage_dir: /c\n    staging_dir: ~/staging/\n"),
        "sidecar: {host: 127.0.0.1, port: 0, throttle: {timeout: 10s}}
live_migration:
  files_to_exclude: ['glob:${HINTS_DIR}/*.tmp']
  dirs_to_exclude: []
  migration_map: {a: b}
  max_concurrent_file_requests: 3
sidecar_client:
  request_timeout: 1m
  request_idle_timeout: 2 m
  connection_pool_max_size: 4
  max_retries: 0
  retry_delay: 0s
  max_retry_delay: 1h
twintree:
  state_dir: /var/lib/twintree/
  threads: 2
  history_max_tasks: 7
  history_max_age: 2d
  unfinished_tasks: fail
  manifest_retention: 90s
  serve_manifests: false
  memory_limit: 256MiB
  read_limit: 24MiB/s
  direct_io: true
  digest_cache: audit 5%
  digest_cache_max_age: 7d
  digest_cache_warm_every: 10m
  digest_cache_warm_limit: 50MiB/s
"
    ));
    let instance = config.instance_by_id(1).unwrap();
    assert_eq!((instance.host.as_str(), instance.port), ("localhost1", Some(9042)));
    assert_eq!(instance.staging_dir, Some(PathBuf::from("/home/me/staging")));
    assert_eq!((config.sidecar.host.as_str(), config.sidecar.port), ("127.0.0.1", 0));
    let rules = &config.live_migration.rules;
    assert_eq!(rules.file_patterns().collect::<Vec<_>>(), ["glob:${HINTS_DIR}/*.tmp"]);
    assert_eq!(rules.directory_patterns().count(), 0);
    assert_eq!(config.live_migration.max_concurrent_file_requests, 3);
    assert_eq!(config.client.request_timeout, Duration::from_secs(60));
    assert_eq!(config.client.request_idle_timeout, Duration::from_secs(120));
    assert_eq!((config.client.connection_pool_max_size, config.client.max_retries), (4, 0));
    assert_eq!(config.client.retry_delay, Duration::ZERO);
    assert_eq!(config.client.max_retry_delay, Duration::from_secs(3600));
    let state_dir = config.twintree.state_dir.as_ref().unwrap();
    assert_eq!(state_dir.as_os_str(), "/var/lib/twintree");
    assert_eq!(config.twintree.threads, NonZeroUsize::new(2));
    assert_eq!(config.twintree.history_max_tasks, 7);
    assert_eq!(config.twintree.history_max_age, Duration::from_secs(2 * 24 * 3600));
    assert!(!config.twintree.resume_unfinished_tasks);
    assert_eq!(config.twintree.manifest_retention, Duration::from_secs(90));
    assert!(!config.twintree.serve_manifests);
    assert_eq!(config.twintree.memory_limit, 256 << 20);
    let reading = Reading {
        limit: NonZeroU64::new(24 << 20),
        direct: true,
        cache: Some(CacheMode::Audit(5)),
        cache_max_age: Duration::from_secs(7 * 24 * 3600),
        warm_every: Some(Duration::from_secs(600)),
        warm_limit: NonZeroU64::new(50 << 20),
    };
    assert_eq!(config.twintree.reading, reading);
}

/// Below `storage_dir` lie the Sidecar's directories; a key of its own moves one of them.
#[test]
fn directories_lie_below_storage_dir_unless_a_key_moves_them() {
    let below = |rest: &[&str]| -> Vec<String> { rest.iter().map(|root| (*root).to_owned()).collect() };
    let others = ["commitlog/0 /c/commitlog", "hints/0 /c/hints", "saved_caches/0 /c/saved_caches"];
    let mut all = below(&["data/0 /c/data"]);
    all.extend(below(&others));
    all.extend(below(&["cdc_raw/0 /c/cdc_raw"]));
    assert_eq!(roots(&good(MINIMAL)), all);
    assert_eq!(roots(&good(&instance_with("    storage_dir: /c/\n    data_dirs: []\n    hints_dir:\n"))), all);

    let mut moved = below(&["data/0 /d1", "data/1 /home/me/d2"]);
    moved.extend(below(&others));
    moved.extend(below(&["cdc_raw/0 /cdc", "local_system_data/0 /sys"]));
    let keys =
        "    local_system_data_file_dir: /sys/\n    cdc_dir: /cdc\n    data_dirs: [/d1//, ~/d2]\n    storage_dir: /c\n";
    assert_eq!(roots(&good(&instance_with(keys))), moved);
}

/// Without `storage_dir` there are only the directories that are named, and there must be one.
#[test]
fn without_storage_dir_only_named_directories_are_roots() {
    let config = good(&instance_with("    hints_dir: /h\n    data_dirs: [/d]\n"));
    assert_eq!(roots(&config), ["data/0 /d", "hints/0 /h"]);
    let (line, key, problem) = mistake(&instance_with("    staging_dir: /s\n"));
    assert_eq!((line, key.as_str(), problem), (Some(2), "cassandra_instances[0]", ValueProblem::NoDirectories));
}

/// A relative directory is refused at its own line, and `~` needs a home directory.
#[test]
fn directories_are_absolute() {
    let text = instance_with("    data_dirs:\n      - /d\n      - data2\n");
    let relative = ValueProblem::RelativePath { path: "data2".to_owned() };
    assert_eq!(mistake(&text), (Some(6), "cassandra_instances[0].data_dirs[1]".to_owned(), relative));
    let homeless = Config::parse(&instance_with("    storage_dir: ~/c\n"), Path::new("f"), None).unwrap_err();
    assert_eq!(homeless.mistakes[0].problem, ValueProblem::NoHome { path: "~/c".to_owned() });
    // The old form of several directories in one text must not become one directory with a comma in its name.
    let (_, key, problem) = mistake(&instance_with("    data_dirs: /d1, /d2\n"));
    assert_eq!(key, "cassandra_instances[0].data_dirs");
    assert_eq!(problem, ValueProblem::WrongType { found: "text", expected: "a list of absolute paths" });
}

/// Two roots at one path, in one instance or in two, would be compared with themselves: refused in any spelling.
#[test]
fn a_directory_is_one_root_only() {
    let (line, key, problem) = mistake(&instance_with("    data_dirs: [/d, /e]\n    hints_dir: //e/./\n"));
    assert_eq!((line, key.as_str()), (Some(5), "cassandra_instances[0].hints_dir"));
    let root = "data/1".parse().unwrap();
    assert_eq!(problem, ValueProblem::DirectoryTwice { path: "/e".into(), root, instance: 1 });

    let two = with("  - id: 2\n    host: localhost2\n    data_dirs: [/c/data]\n");
    let (line, key, problem) = mistake(&two);
    assert_eq!((line, key.as_str()), (Some(7), "cassandra_instances[1].data_dirs[0]"));
    assert!(matches!(problem, ValueProblem::DirectoryTwice { instance: 1, .. }));
}

/// Ids and hosts are unique; letter case does not make two hosts of one.
#[test]
fn instances_differ_in_id_and_host() {
    let text = with("  - id: 1\n    host: LOCALHOST1\n    storage_dir: /other\n");
    let found = mistakes(&text);
    let first = "cassandra_instances[0]".to_owned();
    assert_eq!(
        (found[0].line, &found[0].problem),
        (Some(5), &ValueProblem::InstanceIdTwice { id: 1, first: first.clone() })
    );
    let host = "LOCALHOST1".to_owned();
    assert_eq!((found[1].line, &found[1].problem), (Some(6), &ValueProblem::InstanceHostTwice { host, first }));
    assert_eq!(found.len(), 2);
}

/// An instance is found by its host in any letter case and, for IPv6, in any spelling.
#[test]
fn an_instance_is_found_by_its_host() {
    let config = good(&with("  - id: 7\n    host: 2001:DB8:0::7\n    storage_dir: /other\n"));
    assert_eq!(config.instance_by_host("LocalHost1").unwrap().id, 1);
    assert_eq!(config.instance_by_host("2001:db8::7").unwrap().id, 7);
    assert_eq!(config.instance_by_host("[2001:db8::7]").unwrap().id, 7);
    assert!(config.instance_by_host("localhost2").is_none() && config.instance_by_id(2).is_none());
}

/// A file without instances is refused; so is the Sidecar's old section for one, which there replaces the list.
#[test]
fn there_must_be_instances() {
    for text in ["", "# nothing\n", "sidecar:\n  port: 1\n", "cassandra_instances: []\n", "cassandra_instances:\n"] {
        let (_, key, problem) = mistake(text);
        assert_eq!(key, "cassandra_instances", "{text:?}");
        assert!(matches!(problem, ValueProblem::Missing { .. }));
    }
    assert_eq!(mistake("cassandra: {host: a}\n").2, ValueProblem::SingleInstanceSection);
    assert_eq!(
        mistake(&with("cassandra: {host: a}\n")),
        (Some(5), "cassandra".to_owned(), ValueProblem::SingleInstanceSection)
    );
    assert!(matches!(mistake("- a\n").2, ValueProblem::WrongType { found: "a list", .. }));
    let missing = mistakes("cassandra_instances: [{storage_dir: /c}]\n");
    let keys: Vec<_> = missing.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["cassandra_instances[0].id", "cassandra_instances[0].host"]);
}

/// The map gives each host its role and its counterpart; a host outside it has none.
#[test]
fn the_migration_map_gives_roles() {
    let config = good(&with("live_migration:\n  migration_map:\n    localhost1: localhost4\n    b: 2001:db8::2\n"));
    let map = &config.live_migration.migration_map;
    let Some(Role::Source { destination }) = map.role_of("LOCALHOST1", Some(9043)) else { panic!("{map:?}") };
    assert_eq!(destination.host, "localhost4");
    let Some(Role::Destination { source }) = map.role_of("[2001:DB8:0::2]", None) else { panic!("{map:?}") };
    assert_eq!((source.host.as_str(), source.port), ("b", None));
    assert_eq!(map.role_of("localhost5", None), None);
}

/// A name with a port is meant only by a Host header with that port, so one address can be both sides.
#[test]
fn a_port_in_the_map_makes_two_hosts_of_one_address() {
    let text = "live_migration:\n  migration_map:\n    127.0.0.1:9043: 127.0.0.1:9044\n    '[::1]:1': '[::1]:2'\n";
    let config = good(&with(text));
    let map = &config.live_migration.migration_map;
    let Some(Role::Source { destination }) = map.role_of("127.0.0.1", Some(9043)) else { panic!("{map:?}") };
    assert_eq!(destination.to_string(), "127.0.0.1:9044");
    let Some(Role::Destination { source }) = map.role_of("127.0.0.1", Some(9044)) else { panic!("{map:?}") };
    assert_eq!(source.to_string(), "127.0.0.1:9043");
    assert_eq!(map.role_of("127.0.0.1", None), None);
    assert_eq!(map.role_of("127.0.0.1", Some(80)), None);
    assert!(matches!(map.role_of("::1", Some(2)), Some(Role::Destination { .. })));
}

/// No host stands twice in the map, in whatever spelling; a name without a port means every port.
#[test]
fn no_host_stands_twice_in_the_map() {
    let of = |map: &str| mistake(&with(&format!("live_migration:\n  migration_map:\n{map}")));
    let text = |text: &str| text.to_owned();

    let (line, key, problem) = of("    a: x\n    b: X\n");
    assert_eq!((line, key.as_str()), (Some(8), "live_migration.migration_map.b"));
    assert_eq!(problem, ValueProblem::DestinationTwice { destination: text("X"), first: text("x") });
    assert_eq!(of("    a: x\n    A: y\n").2, ValueProblem::SourceTwice { first: text("a") });
    assert_eq!(of("    a: x\n    a:1: y\n").2, ValueProblem::SourceTwice { first: text("a") });
    let both = |destination: &str, source: &str| ValueProblem::HostOnBothSides {
        destination: text(destination),
        source_name: text(source),
    };
    assert_eq!(of("    a: a\n").2, both("a", "a"));
    assert_eq!(of("    a: b\n    b:1: c\n"), (Some(7), text("live_migration.migration_map.a"), both("b", "b:1")));
    assert_eq!(of("    '[::1]': b\n    c: 0:0::1\n").2, both("[0:0::1]", "[::1]"));
}

/// What is no host is refused where it stands.
#[test]
fn names_in_the_map_are_hosts() {
    let text = with("live_migration:\n  migration_map:\n    http://a: b\n    c: d:0\n    e: 5\n    f:\n");
    let found = mistakes(&text);
    assert_eq!(found.iter().map(|m| m.line).collect::<Vec<_>>(), [Some(7), Some(8), Some(9), Some(10)]);
    assert_eq!(found[0].problem, ValueProblem::HostName(HostNameError::NotAHost("http://a".to_owned())));
    assert_eq!(found[1].problem, ValueProblem::HostName(HostNameError::NotAPort("d:0".to_owned())));
    assert_eq!(found[2].problem, ValueProblem::WrongType { found: "a number", expected: "a host" });
    assert_eq!(found[3].problem, ValueProblem::WrongType { found: "empty", expected: "a host" });
}

/// Sections and keys of the Sidecar that are not ours are ignored, whatever they hold.
#[test]
fn what_is_not_ours_is_ignored() {
    let config = good(&with(
        "healthcheck: {initial_delay: 0ms}
metrics: [1, .nan, !custom x, {[a]: b}, 1e999, 99999999999999999999999]
sidecar:
  port: 9999
  traffic_shaping: {max_delay_to_wait: 15s}
ssl: {enabled: false, keystore: {path: x}}
access_control:
  enabled: false
  authenticators:
    - class_name: some.java.Class
sidecar_client: {connection_pool_event_loop_size: 0, ssl: {enabled: false}}
live_migration:
  files_to_exclude: [ ]       # none
  migration_map:              # none yet
#    localhost1: localhost4
  max_concurrent_file_requests: 20
cassandra_input_validation:
  validator:
    # a list that is indented no further than its key
  - class_name: some.java.Class
1: 2
",
    ));
    assert_eq!(config.sidecar.port, 9999);
}

/// Encryption and access control that are asked for are refused by name: ignoring them would be a breach.
#[test]
fn protection_that_cannot_be_had_is_refused() {
    for (text, key, problem) in [
        ("ssl: {enabled: true}\n", "ssl.enabled", ValueProblem::EncryptionUnsupported),
        ("sidecar_client: {ssl: {enabled: true}}\n", "sidecar_client.ssl.enabled", ValueProblem::EncryptionUnsupported),
        ("sidecar_client: {use_ssl: true}\n", "sidecar_client.use_ssl", ValueProblem::EncryptionUnsupported),
        ("access_control: {enabled: true}\n", "access_control.enabled", ValueProblem::AccessControlUnsupported),
    ] {
        assert_eq!(mistake(&with(text)), (Some(5), key.to_owned(), problem));
    }
    // Nor does a value that only looks like "true" pass as "false".
    for value in ["yes", "\"true\"", "1", "on"] {
        let (_, key, problem) = mistake(&with(&format!("ssl: {{enabled: {value}}}\n")));
        assert_eq!(key, "ssl.enabled");
        assert!(matches!(problem, ValueProblem::WrongType { expected: "true or false", .. }), "{value}");
    }
    assert!(matches!(mistake(&with("access_control: true\n")).2, ValueProblem::WrongType { .. }));
}

/// An unknown key in twintree's own section is refused, with the keys there are.
#[test]
fn an_unknown_key_of_ours_is_refused() {
    let error = parse(&with("twintree:\n  threads: 2\n  state_dri: /x\n")).unwrap_err();
    assert!(matches!(error.mistakes[0].problem, ValueProblem::UnknownKey { .. }));
    assert_eq!(
        error.to_string(),
        "sidecar.yaml:7: twintree.state_dri: is not a key of this section; expected one of state_dir, threads, \
         history_max_tasks, history_max_age, unfinished_tasks, manifest_retention, serve_manifests, memory_limit, \
         read_limit, direct_io, digest_cache, digest_cache_max_age, digest_cache_warm_every, digest_cache_warm_limit"
    );
}

/// A known key with a value that cannot be used is refused, in every section.
#[test]
fn values_of_the_wrong_kind_are_refused() {
    for (text, key) in [
        ("sidecar: 5\n", "sidecar"),
        ("sidecar: {port: 65536}\n", "sidecar.port"),
        ("sidecar: {port: '9043'}\n", "sidecar.port"),
        ("sidecar: {host: 'a:1'}\n", "sidecar.host"),
        ("sidecar: {host: ''}\n", "sidecar.host"),
        ("live_migration: {files_to_exclude: x}\n", "live_migration.files_to_exclude"),
        ("live_migration: {dirs_to_exclude: [1]}\n", "live_migration.dirs_to_exclude[0]"),
        ("live_migration: {files_to_exclude: ['glob:ok', 'ant:x']}\n", "live_migration.files_to_exclude[1]"),
        ("live_migration: {dirs_to_exclude: ['regex:a*+']}\n", "live_migration.dirs_to_exclude[0]"),
        ("live_migration: {files_to_exclude: ['glob:${NOWHERE}/x']}\n", "live_migration.files_to_exclude[0]"),
        ("twintree: {unfinished_tasks: maybe}\n", "twintree.unfinished_tasks"),
        ("twintree: {history_max_age: 0s}\n", "twintree.history_max_age"),
        ("twintree: {read_limit: 100}\n", "twintree.read_limit"),
        ("twintree: {read_limit: 0MiB/s}\n", "twintree.read_limit"),
        ("twintree: {memory_limit: 512}\n", "twintree.memory_limit"),
        ("twintree: {memory_limit: 255MiB}\n", "twintree.memory_limit"),
        ("twintree: {direct_io: maybe}\n", "twintree.direct_io"),
        ("twintree: {state_dir: /x, digest_cache: audit}\n", "twintree.digest_cache"),
        ("twintree: {state_dir: /x, digest_cache: true}\n", "twintree.digest_cache"),
        ("twintree: {digest_cache: trust}\n", "twintree.digest_cache"),
        ("twintree: {state_dir: /x, digest_cache_warm_every: 10m}\n", "twintree.digest_cache_warm_every"),
        ("twintree: {state_dir: /x, digest_cache_max_age: 10d}\n", "twintree.digest_cache_max_age"),
        (
            "twintree: {state_dir: /x, digest_cache: trust, digest_cache_warm_limit: 1MiB/s}\n",
            "twintree.digest_cache_warm_limit",
        ),
        ("live_migration: {migration_map: [a]}\n", "live_migration.migration_map"),
        ("live_migration: {max_concurrent_file_requests: 0}\n", "live_migration.max_concurrent_file_requests"),
        ("sidecar_client: {request_timeout: 30}\n", "sidecar_client.request_timeout"),
        ("sidecar_client: {request_idle_timeout: 0s}\n", "sidecar_client.request_idle_timeout"),
        ("sidecar_client: {retry_delay: soon}\n", "sidecar_client.retry_delay"),
        ("sidecar_client: {max_retries: -1}\n", "sidecar_client.max_retries"),
        ("sidecar_client: {connection_pool_max_size: 0}\n", "sidecar_client.connection_pool_max_size"),
        ("twintree: {threads: 0}\n", "twintree.threads"),
        ("twintree: {threads: 1025}\n", "twintree.threads"),
        ("twintree: {threads: 1.5}\n", "twintree.threads"),
        ("twintree: {state_dir: state}\n", "twintree.state_dir"),
        ("twintree: [threads]\n", "twintree"),
    ] {
        let (line, found, _) = mistake(&with(text));
        assert_eq!((line, found.as_str()), (Some(5), key));
    }
}

/// All mistakes are told at once, in the order of the file, one line each, with file, line, key and what was expected.
#[test]
fn all_mistakes_are_told_at_once() {
    let error = parse(
        "twintree: {threads: many}
cassandra_instances:
  - id: one
    host: localhost1
    storage_dir: cassandra
sidecar_client:
  request_timeout: 30
ssl:
  enabled: true
",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string().lines().collect::<Vec<_>>(),
        [
            "sidecar.yaml:1: twintree.threads: is text; expected a whole number from 1 to 1024",
            "sidecar.yaml:3: cassandra_instances[0].id: is text; expected a whole number from 0 to 2147483647",
            "sidecar.yaml:5: cassandra_instances[0].storage_dir: \"cassandra\" is not an absolute path; expected one \
             that starts with / or ~/",
            "sidecar.yaml:7: sidecar_client.request_timeout: is a number; expected a number and a unit (ns, us, ms, s, \
             m, h or d), such as 30s",
            "sidecar.yaml:9: ssl.enabled: is not supported yet: traffic would be in plain text; expected false, with \
             encryption left to a proxy",
        ]
    );
}

/// A text that is not YAML has one mistake, with line and column; so has a key that stands twice.
#[test]
fn a_text_that_is_not_yaml_is_told_with_its_place() {
    let (line, key, problem) = mistake("sidecar:\n  port: [1\nssl: {}\n");
    assert!(line.is_some() && key.is_empty());
    assert!(matches!(problem, ValueProblem::NotYaml { column: Some(_), .. }), "{problem:?}");
    let (line, _, problem) = mistake("sidecar: {}\nssl: {}\nsidecar: {}\n");
    assert_eq!(line, Some(3));
    assert!(matches!(problem, ValueProblem::NotYaml { column: Some(1), .. }), "{problem:?}");
}

/// Text of the file reaches the messages only escaped: a mistake stays on one line and cannot steer a terminal.
#[test]
fn messages_hold_no_control_characters() {
    let keys = "twintree:\n  \"a\\n\\e[2J\": 1\n  state_dir: \"x\\n\\e\"\n\"b\\n\\e\": 1\n";
    let error = parse(&with(keys)).unwrap_err();
    let shown = error.to_string();
    assert_eq!(shown.lines().count(), error.mistakes.len());
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let twice = parse("\"b\\n\\e\": 1\n\"b\\n\\e\": 1\n").unwrap_err().to_string();
    assert!(twice.lines().count() == 1 && !twice.contains('\u{1b}'), "{twice:?}");
}

/// A message is read by a person: a value of a mebibyte is shown by its beginning, wherever it stands.
#[test]
fn messages_repeat_no_long_text() {
    let long = "x".repeat(1 << 20);
    let pattern = format!("glob:{}", "[".repeat(4000));
    for text in [
        with(&format!("twintree: {{state_dir: {long}}}\n")),
        with(&format!("twintree: {{{long}: 1}}\n")),
        with(&format!("twintree: {{memory_limit: {long}}}\n")),
        with(&format!("twintree: {{digest_cache: {long}}}\n")),
        with(&format!("live_migration: {{migration_map: {{'{long}:x': b}}}}\n")),
        with(&format!("live_migration: {{migration_map: {{'{long} x': b}}}}\n")),
        with(&format!("live_migration: {{migration_map: {{a: '{long}', b: '{long}'}}}}\n")),
        with(&format!(
            "live_migration: {{files_to_exclude: ['{long}', '{pattern}', 'glob:${{{long}}}', '{long}:x']}}\n"
        )),
        with(&format!("{long}: 1\n{long}: 2\n")),
        with(&format!("live_migration: *{long}\n")),
        with(&format!("live_migration: !!{long} {{\n")),
        instance_with(&format!("    data_dirs: ['/{long}', '/{long}', ~{long}/x, ~/{long}]\n")),
    ] {
        let error = parse(&text).unwrap_err();
        for line in error.lines() {
            assert!(line.len() < 1000, "{} bytes: {}", line.len(), &line[..400]);
        }
    }
}

/// Up to 4 MiB are read, and not a byte more, from a text or from a file.
#[test]
fn the_size_is_limited() {
    let mut text = with("# ");
    text.push_str(&"x".repeat(MAX_BYTES - text.len()));
    good(&text);
    text.push('x');
    assert_eq!(mistake(&text).2, ValueProblem::TooLarge);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    assert_eq!(Config::load(file.path()).unwrap_err().mistakes[0].problem, ValueProblem::TooLarge);
}

/// A file is read from disk; one that is absent or not UTF-8 is told as such.
#[test]
fn a_file_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sidecar.yaml");
    let absent = Config::load(&path).unwrap_err();
    assert_eq!(absent.file, path);
    assert!(matches!(absent.mistakes[0].problem, ValueProblem::Unreadable { kind: ErrorKind::NotFound, .. }));
    std::fs::write(&path, MINIMAL).unwrap();
    assert_eq!(Config::load(&path), Ok(good(MINIMAL)));
    std::fs::write(&path, b"a: 1\nb: \xff\n").unwrap();
    let garbled = Config::load(&path).unwrap_err();
    assert_eq!((garbled.mistakes[0].line, &garbled.mistakes[0].problem), (Some(2), &ValueProblem::NotUtf8));
}
