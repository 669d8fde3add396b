//! The life of tasks of a kind that does nothing but what a test hands it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Event, History, HistoryLimits, Job, Kind, Slots, Status, StoredTask, Task, Tasks, Unfinished};
use crate::protocol::TaskState;

/// What a test hands in: it gets the task, and ends it or not.
type Work = Box<dyn FnOnce(Arc<Task<Toy>>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

#[derive(Debug)]
pub(super) struct Toy;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ToyStatus {
    id: String,
    pub(super) state: TaskState,
    started_at: i64,
    ended_at: Option<i64>,
    pub(super) message: Option<String>,
    trouble: Option<String>,
}

impl ToyStatus {
    pub(super) fn new(id: impl Into<String>, state: TaskState) -> Self {
        Self { id: id.into(), state, started_at: 0, ended_at: None, message: None, trouble: None }
    }
}

impl Kind for Toy {
    const NAME: &'static str = "toy";
    const FOLDER: &'static str = "toys";
    type Request = ();
    type Status = ToyStatus;
    type Summary = u64;
    type Finding = u64;

    fn began_again(_: &mut u64, _: String) {}

    fn took(_: &mut u64, _: u64) {}
}

impl Job for Toy {
    type Input = Work;
    type Totals = u64;

    async fn run(task: Arc<Task<Self>>, input: Work) {
        input(task).await;
    }

    fn count(totals: &mut u64, _: &Task<Self>) {
        *totals += 1;
    }
}

impl Status for ToyStatus {
    fn id(&self) -> &str {
        &self.id
    }

    fn state(&self) -> TaskState {
        self.state
    }

    fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    fn started_at(&self) -> i64 {
        self.started_at
    }

    fn ended_at(&self) -> Option<i64> {
        self.ended_at
    }

    fn enter(&mut self, state: TaskState) {
        self.state = state;
    }

    fn end(&mut self, at_ms: i64, message: Option<String>) {
        (self.ended_at, self.message) = (Some(at_ms), message);
    }

    fn refresh(&mut self) {}

    fn not_safe(&mut self, cause: Option<String>) {
        self.trouble = cause;
    }

    fn restart(&mut self) {
        self.state = TaskState::NotStarted;
    }
}

fn history(directory: &tempfile::TempDir) -> History<Toy> {
    let limits = HistoryLimits { max_tasks: 10, max_age: Duration::from_secs(3600) };
    History::open(directory.path(), limits).unwrap()
}

fn tasks(history: History<Toy>) -> Tasks<Toy> {
    Tasks::new(Some(history), Unfinished::Resume, Slots::default())
}

fn start(tasks: &Tasks<Toy>, work: Work) -> Arc<Task<Toy>> {
    tasks.start(1, (), |id| ToyStatus::new(id, TaskState::NotStarted), work).unwrap()
}

fn succeeding() -> Work {
    Box::new(|task| Box::pin(async move { task.end(Event::Succeeded, None) }))
}

/// Tasks of a service whose predecessor left `waiting` under way on instance 1.
fn with_a_waiting_task(directory: &tempfile::TempDir) -> Tasks<Toy> {
    let history = history(directory);
    let status = ToyStatus::new("waiting", TaskState::InProgress);
    history.keep(&StoredTask { instance: 1, status, request: (), restarts: 0 }, None).unwrap();
    tasks(history)
}

async fn state(tasks: &Tasks<Toy>, id: &str) -> TaskState {
    tasks.status(1, id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn a_waiting_task_that_was_cancelled_stays_so_whatever_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = with_a_waiting_task(&directory);
    let [waiting] = &tasks.unfinished()[..] else { panic!() };
    tasks.cancel(1, "waiting").await;
    assert_eq!(state(&tasks, "waiting").await, TaskState::Cancelled);
    start(&tasks, succeeding()).settled().await;
    tasks.take_up(waiting.clone(), Ok(succeeding())).await;
    assert_eq!(state(&tasks, "waiting").await, TaskState::Cancelled);
}

/// One look under one lock finds it, wherever it stands.
#[tokio::test]
async fn a_task_is_cancelled_while_it_waits_and_once_it_is_taken_up() {
    for takes_up_first in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let tasks = with_a_waiting_task(&directory);
        let [waiting] = &tasks.unfinished()[..] else { panic!() };
        let until_cancelled: Work = Box::new(|task| {
            Box::pin(async move {
                task.cancel.cancelled().await;
                task.end_cancelled();
            })
        });
        if takes_up_first {
            tasks.take_up(waiting.clone(), Ok(until_cancelled)).await;
            assert_eq!(state(&tasks, "waiting").await, TaskState::NotStarted);
            tasks.cancel(2, "waiting").await;
            tasks.cancel(1, "another").await;
            assert_eq!(state(&tasks, "waiting").await, TaskState::NotStarted);
            tasks.cancel(1, "waiting").await;
        } else {
            tasks.cancel(1, "waiting").await;
            tasks.take_up(waiting.clone(), Ok(until_cancelled)).await;
        }
        assert_eq!(state(&tasks, "waiting").await, TaskState::Cancelled);
    }
}

#[tokio::test]
async fn a_waiting_task_that_cannot_begin_again_has_failed_here_and_in_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let waits = with_a_waiting_task(&directory);
    let [waiting] = &waits.unfinished()[..] else { panic!() };
    waits.take_up(waiting.clone(), Err("its source is another".to_owned())).await;
    let status = waits.status(1, "waiting").await.unwrap().unwrap();
    assert_eq!(status.state, TaskState::Failed);
    assert!(status.message.unwrap().ends_with("cannot be taken up again: its source is another"));
    waits.cancel(1, "waiting").await;
    assert_eq!(state(&waits, "waiting").await, TaskState::Failed, "it has ended");
    // Its instance is free.
    start(&waits, succeeding()).settled().await;
    assert_eq!(state(&waits, "waiting").await, TaskState::Failed);
}

#[tokio::test]
async fn a_task_that_died_is_not_left_under_way_in_the_history() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = tasks(history(&directory));
    let task = start(&tasks, Box::new(|_| Box::pin(async { panic!("on purpose") })));
    task.settled().await;
    assert_eq!(task.status().state, TaskState::Failed);
    assert!(task.in_history());
}

/// The instance is free before the history has the task, so another one may have taken its place by then.
#[tokio::test]
async fn a_service_that_stops_waits_for_a_replaced_task_too() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = tasks(history(&directory));
    let (ended, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (has_ended, may_go_on) = (Arc::clone(&ended), Arc::clone(&go_on));
    let slow: Work = Box::new(|task| {
        Box::pin(async move {
            task.end(Event::Succeeded, None);
            has_ended.notify_one();
            may_go_on.notified().await;
        })
    });
    let slow = start(&tasks, slow);
    ended.notified().await;
    start(&tasks, succeeding()).settled().await;
    let mut stopping = Box::pin(tasks.stop_all());
    tokio::select! {
        biased;
        () = &mut stopping => panic!("the replaced task is not in the history yet"),
        () = tokio::task::yield_now() => {}
    }
    go_on.notify_one();
    stopping.await;
    assert!(slow.in_history());
}

/// Somebody who saw it ended must not find it under way after a crash: a list says so as the status of one task does.
#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_on_disk_yet_is_said_so_in_a_list_too() {
    let directory = tempfile::tempdir().unwrap();
    let tasks = tasks(history(&directory));
    let ended = Arc::new(Notify::new());
    let has_ended = Arc::clone(&ended);
    let unsettled: Work = Box::new(|task| {
        Box::pin(async move {
            task.end(Event::Succeeded, None);
            has_ended.notify_one();
            std::future::pending::<()>().await;
        })
    });
    let task = start(&tasks, unsettled);
    ended.notified().await;
    let one = tasks.status(1, task.status().id()).await.unwrap().unwrap();
    let listed = tasks.all(1).await.ids;
    assert_eq!((one.state, one.trouble.is_some()), (TaskState::Completed, true));
    assert_eq!((tasks.status_now(1, &listed[0]), listed.len()), (Some(one), 1));
}
