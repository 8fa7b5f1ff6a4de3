//! That files change, as the system tells it at once.
//!
//! It only says when to look. Whoever asks still looks now and then: not every file system tells everything, and of a link
//! that leads through several others only its own folder and the last one are watched.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::future::pending;
use std::path::{Path, PathBuf};

use futures::{FutureExt as _, StreamExt as _};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};

/// The most folders that are watched.
const FOLDERS_MAX: usize = 64;
/// How much of what the system tells is read at once.
const EVENTS_BYTES: usize = 4096;

/// News of some files.
pub(super) struct News {
    // None: the system does not tell.
    events: Option<EventStream<[u8; EVENTS_BYTES]>>,
    folders: HashMap<PathBuf, WatchDescriptor>,
    // Whether all that matter are watched.
    complete: bool,
    // What the file or folder itself is called.
    own: Option<OsString>,
    // Files that somebody has begun to write and not closed yet.
    written: HashSet<(WatchDescriptor, OsString)>,
}

impl News {
    /// Of nothing yet. To be called within a runtime.
    pub(super) fn new() -> Self {
        let events = Inotify::init().and_then(|inotify| inotify.into_event_stream([0; EVENTS_BYTES]));
        if let Err(error) = &events {
            tracing::warn!(%error, "the system does not tell of changed files: they are looked at now and then");
        }
        let (folders, written) = (HashMap::new(), HashSet::new());
        Self { events: events.ok(), folders, complete: false, own: None, written }
    }

    /// Whether the system tells of changes where files are looked for.
    pub(super) fn are_told(&self) -> bool {
        self.complete
    }

    /// Whether somebody writes there just now.
    pub(super) fn tell_of_writing(&self) -> bool {
        !self.written.is_empty()
    }

    /// Notes that what is there now is believed, whoever may not have said that he is done.
    pub(super) fn believed(&mut self) {
        self.written.clear();
    }

    /// Watches the folders that a file or folder, and files in it, really are in, and no others.
    pub(super) fn watch<'f>(&mut self, path: &Path, files: impl Iterator<Item = &'f Path>) {
        let Some(mut watches) = self.events.as_ref().map(EventStream::watches) else { return };
        let mut wanted = HashSet::new();
        // Where a link itself stands, it may be made to lead elsewhere.
        wanted.extend(parent(path).filter(|_| path.is_symlink() || !path.is_dir()));
        wanted.extend(path.canonicalize().ok().filter(|real| real.is_dir()));
        wanted.extend(
            files.filter(|file| file.is_symlink()).filter_map(|file| parent(&file.canonicalize().ok()?)),
        );
        self.folders.retain(|folder, watched| {
            let kept = wanted.contains(folder);
            if !kept {
                // One that is gone was forgotten by the system already.
                let _forgotten = watches.remove(watched.clone());
                self.written.retain(|(folder, _)| folder != watched);
            }
            kept
        });
        for folder in wanted.iter().take(FOLDERS_MAX) {
            if !self.folders.contains_key(folder)
                && let Ok(watched) = watches.add(folder, told())
            {
                self.folders.insert(folder.clone(), watched);
            }
        }
        self.complete = self.folders.len() == wanted.len();
        self.own = path.file_name().map(OsStr::to_owned);
    }

    /// Waits until something may have changed; for ever where nothing is told. It can be given up at any time.
    pub(super) async fn next(&mut self) {
        loop {
            let event = match &mut self.events {
                None => return pending().await,
                Some(events) => events.next().await,
            };
            let Some(Ok(event)) = event else {
                (self.events, self.complete) = (None, false);
                self.folders.clear();
                self.written.clear();
                return;
            };
            let mut heard = self.note(event);
            // And what else has happened by now.
            while let Some(Some(Ok(event))) =
                self.events.as_mut().and_then(|events| events.next().now_or_never())
            {
                heard |= self.note(event);
            }
            if heard {
                return;
            }
        }
    }

    // Whether it may concern a file that is looked for.
    fn note(&mut self, event: EventOwned) -> bool {
        let EventOwned { wd: folder, mask, name, cookie: _ } = event;
        let Some(name) = name else {
            self.forget(mask, &folder);
            return true;
        };
        if !concerns(&name) {
            // Of a mounted ConfigMap the links that begin so are swapped.
            return name.as_encoded_bytes().starts_with(b"..") || Some(&name) == self.own.as_ref();
        }
        if mask.intersects(EventMask::CREATE | EventMask::MODIFY) && !mask.contains(EventMask::ISDIR) {
            self.written.insert((folder, name));
        } else {
            self.written.remove(&(folder, name));
        }
        true
    }

    // Of a folder that is gone, or has another name now, so that another one can be where it was.
    fn forget(&mut self, mask: EventMask, folder: &WatchDescriptor) {
        if !mask.intersects(EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF) {
            return;
        }
        self.folders.retain(|_, watched| watched != folder);
        self.written.retain(|(watched, _)| watched != folder);
        if let Some(events) = self.events.as_ref().filter(|_| mask.contains(EventMask::MOVE_SELF)) {
            let _gone = events.watches().remove(folder.clone());
        }
    }
}

// A log that somebody keeps beside them is written all the time.
fn concerns(name: &OsStr) -> bool {
    let end = Path::new(name).extension();
    end.is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}

fn told() -> WatchMask {
    WatchMask::ONLYDIR
        | WatchMask::CREATE
        | WatchMask::MODIFY
        | WatchMask::CLOSE_WRITE
        | WatchMask::MOVE
        | WatchMask::DELETE
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
}

fn parent(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    parent.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(50);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("toolgate-news-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    async fn heard(news: &mut News) {
        tokio::time::timeout(PATIENCE, news.next()).await.expect("it is told");
    }

    #[tokio::test]
    async fn whoever_writes_is_known_until_he_is_done() {
        let Folder(folder) = &Folder::new("write");
        let mut news = News::new();
        news.watch(folder, [].into_iter());
        assert!(news.are_told() && !news.tell_of_writing());
        let mut file = fs::File::create(folder.join("policy.yaml")).unwrap();
        file.write_all(b"half").unwrap();
        heard(&mut news).await;
        assert!(news.tell_of_writing());
        drop(file);
        heard(&mut news).await;
        assert!(!news.tell_of_writing());
        fs::write(folder.join("new"), "whole").unwrap();
        fs::rename(folder.join("new"), folder.join("policy.yaml")).unwrap();
        heard(&mut news).await;
        assert!(!news.tell_of_writing(), "what is moved there is whole");
        fs::remove_file(folder.join("policy.yaml")).unwrap();
        heard(&mut news).await;
    }

    #[tokio::test]
    async fn a_log_beside_the_files_is_no_news() {
        let Folder(folder) = &Folder::new("log");
        let mut news = News::new();
        news.watch(folder, [].into_iter());
        fs::write(folder.join("gateway.log"), "a line").unwrap();
        assert!(tokio::time::timeout(SHORT, news.next()).await.is_err());
        assert!(!news.tell_of_writing());
    }

    /// As the files of a mounted ConfigMap are: links through one link that is swapped.
    #[tokio::test]
    async fn a_mount_whose_link_is_swapped_is_news_each_time() {
        let Folder(folder) = &Folder::new("mount");
        let file = folder.join("policy.yaml");
        symlink("..data/policy.yaml", &file).unwrap();
        let mut news = News::new();
        for version in ["..1", "..2", "..3"] {
            fs::create_dir(folder.join(version)).unwrap();
            fs::write(folder.join(version).join("policy.yaml"), version).unwrap();
            symlink(version, folder.join("..data_tmp")).unwrap();
            fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
            if version != "..1" {
                heard(&mut news).await;
            }
            news.watch(folder, [file.as_path()].into_iter());
            assert!(news.folders.contains_key(&folder.canonicalize().unwrap().join(version)));
            while tokio::time::timeout(SHORT, news.next()).await.is_ok() {}
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_made_anew_is_watched_again() {
        let Folder(folder) = &Folder::new("anew");
        let inner = folder.join("inner");
        let mut news = News::new();
        for _ in 0..2 {
            fs::create_dir(&inner).unwrap();
            news.watch(&inner, [].into_iter());
            fs::write(inner.join("policy.yaml"), "text").unwrap();
            heard(&mut news).await;
            fs::remove_dir_all(&inner).unwrap();
            while news.folders.contains_key(&inner.canonicalize().unwrap_or(inner.clone())) {
                heard(&mut news).await;
            }
        }
    }
}
