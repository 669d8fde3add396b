//! The demo's two services: a configuration file each, and a real listener.

use std::fs;
use std::path::Path;

use super::disk::disk;
use super::instance::Instance;
use crate::cli::args::ScanArgs;
use crate::cli::exit_code::CommandError;
use crate::cli::local::{Scan, Tree, readers};
use crate::cli::progress::Bars;
use crate::cli::signals::Stop;
use crate::config::Config;
use crate::manifest::HashKind;
use crate::model::Blake3Digest;
use crate::server::{App, Listener, Running, SetupError};

/// How often a port that is free on one address is looked for on the other.
const PORT_ATTEMPTS: usize = 20;

/// The Sidecar's own port, taken where it is free, so that files that are kept can be served again as they are.
const SIDECAR_PORT: u16 = 9043;

/// A source and its destination.
pub(super) struct Services {
    source: Running,
    destination: Running,
    pub source_address: String,
    pub destination_address: String,
}

impl Services {
    /// Two loopback addresses with one port, as two hosts would have it; where there is no second address, one address
    /// and two ports.
    pub(super) async fn start(place: &Path, source: &Instance, copy: &Instance) -> Result<Self, CommandError> {
        let (first, second) = listeners().await?;
        let (source_address, destination_address) = (first.address(), second.address());
        let names = match source_address.ip() == destination_address.ip() {
            false => (source_address.ip().to_string(), destination_address.ip().to_string()),
            true => (source_address.to_string(), destination_address.to_string()),
        };
        let serve = |name: &str, listener: Listener, instance: &Instance, id: u64| {
            let path = place.join(format!("{name}.yaml"));
            fs::write(&path, yaml(id, &listener, instance, &names, &place.join(name))).map_err(disk(&path))?;
            Ok::<_, CommandError>(listener.serve(App::new(Config::load(&path)?)?))
        };
        Ok(Self {
            source: serve("source-service", first, source, 1)?,
            destination: serve("destination-service", second, copy, 2)?,
            source_address: source_address.to_string(),
            destination_address: destination_address.to_string(),
        })
    }

    /// Stops both; what is left are their configurations.
    pub(super) async fn stop(self) -> [Config; 2] {
        let configs = [self.source.app().config().clone(), self.destination.app().config().clone()];
        self.destination.stop().await;
        self.source.stop().await;
        configs
    }
}

/// The content hash of a service's instance, scanned once more, as `twintree manifest` does it; `None` where unproven.
pub(super) fn content_hash(config: &Config, stop: &Stop) -> Result<Option<Blake3Digest>, CommandError> {
    let scan = ScanArgs::default();
    let trees = config.instances.iter().map(|instance| Tree::of_instance(config, instance, &scan));
    let trees: Vec<Tree> = trees.collect::<Result<_, _>>()?;
    let readers = readers(&scan)?;
    let bars = Bars::new(&[], true);
    let jobs = Scan::new(trees.iter().map(|tree| (0, tree)).collect(), &scan, &bars, &stop.cancel());
    let manifests = jobs.walk(&readers)?;
    jobs.hash(&readers, &manifests)?;
    Ok(manifests.first().and_then(|manifest| manifest.instance_hash(HashKind::Content).digest()))
}

async fn listeners() -> Result<(Listener, Listener), SetupError> {
    for port in std::iter::once(SIDECAR_PORT).chain(std::iter::repeat_n(0, PORT_ATTEMPTS)) {
        let Ok(first) = Listener::bind("127.0.0.1", port).await else { continue };
        if let Ok(second) = Listener::bind("127.0.0.2", first.address().port()).await {
            return Ok((first, second));
        }
    }
    Ok((Listener::bind("127.0.0.1", 0).await?, Listener::bind("127.0.0.1", 0).await?))
}

fn yaml(id: u64, listener: &Listener, instance: &Instance, names: &(String, String), state: &Path) -> String {
    let (host, port) = (listener.address().ip(), listener.address().port());
    let home = json_text(&instance.home);
    let state = json_text(state);
    let (source, destination) = names;
    format!(
        "cassandra_instances:\n  - id: {id}\n    host: {host}\n    storage_dir: {home}\n\
         sidecar:\n  host: {host}\n  port: {port}\n\
         live_migration:\n  migration_map:\n    \"{source}\": \"{destination}\"\n\
         twintree:\n  state_dir: {state}\n"
    )
}

/// A path as a quoted text, which JSON and YAML share.
fn json_text(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
