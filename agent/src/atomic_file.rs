//! The only door to files and folders on the volumes: what a name shows is always a whole content, the former or
//! the new one, also after a power cut. A reader never sees half a write, and Java may start at any moment.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the door to the volume (I7)")]

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// Nothing that the agent reads is larger: broker.conf has some 20 kB, a record less.
const LARGEST_READ: u64 = 16 << 20;

/// What could not be done, with which file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// The error of an action on a file or folder.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::new(action, path, source)
}

/// Replaces the content of `path`: a temporary file beside it, fsync, rename, fsync of the folder.
pub async fn write(path: &Path, content: impl Into<Vec<u8>>, mode: u32) -> Result<(), FileError> {
    let (target, content) = (path.to_owned(), content.into());
    off_the_runtime(path, move || replace(&target, &content, mode)).await
}

/// Does what waits for the disk on a thread of its own. `path` is what it is about.
pub async fn off_the_runtime<T: Send + 'static, E: From<FileError> + Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(failed("work on", path)(io::Error::other(error)).into()))
}

fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut draft = Draft::begin(&folder_of(path).join(format!(".{name}.new")), mode)?;
    draft.write_all(content).map_err(failed("write", &draft.path))?;
    draft.keep_as(path)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Makes what happened to the names in a folder outlive a power cut.
fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
}

/// Nobody else's file, and no link to one, is opened: the name must be free.
fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(mode).open(path)?;
    // The process's umask took bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}

/// A file that is written under one name and gets another when it is whole. One that never gets it is removed.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Draft {
    /// An empty one. What a killed agent left at this name goes.
    pub fn begin(path: &Path, mode: u32) -> Result<Self, FileError> {
        remove(path)?;
        let file = create_new(path, mode).map_err(failed("write", path))?;
        Ok(Self { file, path: path.to_owned(), kept: false })
    }

    /// Makes it durable at its final name, in the place of what is there.
    pub fn keep_as(mut self, path: &Path) -> Result<(), FileError> {
        self.file.sync_all().map_err(failed("write", &self.path))?;
        fs::rename(&self.path, path).map_err(failed("replace", path))?;
        self.kept = true;
        sync_folder(folder_of(path))
    }

    /// What was written so far, from its first byte on.
    pub fn read_again(&mut self) -> io::Result<&mut File> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(&mut self.file)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            discarded(&self.path, fs::remove_file(&self.path));
        }
    }
}

/// A folder that is filled under one name and gets another when it is whole. One that never gets it is removed.
#[derive(Debug)]
pub struct DraftFolder {
    path: PathBuf,
    kept: bool,
}

impl DraftFolder {
    /// An empty one. What a killed agent left at this name goes.
    pub fn begin(path: &Path, mode: u32) -> Result<Self, FileError> {
        remove_tree(path)?;
        fs::create_dir(path).map_err(failed("make", path))?;
        let folder = Self { path: path.to_owned(), kept: false };
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
        Ok(folder)
    }

    /// Makes a file in it, which `fill` writes. `name` is one of the caller's own, never one that came from elsewhere.
    pub fn add<E: From<FileError>>(
        &self,
        name: &'static str,
        mode: u32,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.path.join(name);
        let mut file = BufWriter::new(create_new(&path, mode).map_err(failed("write", &path))?);
        fill(&mut file)?;
        let written = file.into_inner().map_err(io::IntoInnerError::into_error);
        Ok(written.and_then(|file| file.sync_all()).map_err(failed("write", &path))?)
    }

    /// The error of writing one of its files.
    pub fn write_error(&self, name: &str, source: io::Error) -> FileError {
        FileError::new("write", &self.path.join(name), source)
    }

    /// Makes it durable at its final name, which must be free.
    pub fn keep_as(mut self, path: &Path) -> Result<(), FileError> {
        sync_folder(&self.path)?;
        move_to_free_name(&self.path, path)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for DraftFolder {
    fn drop(&mut self) {
        if !self.kept {
            discarded(&self.path, fs::remove_dir_all(&self.path));
        }
    }
}

/// What stays goes at the agent's next start.
fn discarded(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "a draft that is not kept is not removed");
    }
}

/// A file that only grows at its end, and may be found shorter than it was after a power cut.
#[derive(Debug)]
pub struct GrowingFile {
    file: File,
    path: PathBuf,
}

impl GrowingFile {
    /// Opens it, or makes it.
    pub fn open(path: &Path, mode: u32) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(mode)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)
            .map_err(failed("open", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// How many bytes it has.
    pub fn length(&self) -> Result<u64, FileError> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(failed("look at", &self.path))
    }

    /// Adds bytes. After an error some of them may be there: they are the right ones.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(failed("write", &self.path))
    }

    /// Makes all of it durable.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(failed("sync", &self.path))?;
        sync_folder(folder_of(&self.path))
    }
}

/// Opens a file to read; `None` if there is none. A link is not followed.
pub fn open(path: &Path) -> Result<Option<File>, FileError> {
    match File::options().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// The names in a folder, in order; none if there is no such folder.
pub fn names_in(folder: &Path) -> Result<Vec<OsString>, FileError> {
    let read = || fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
    match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed("read", folder)(error)),
        Ok::<Vec<OsString>, io::Error>(mut names) => {
            names.sort();
            Ok(names)
        }
    }
}

/// Gives a file or folder another name on the same volume, which must be free, and makes that durable.
pub fn move_to_free_name(from: &Path, to: &Path) -> Result<(), FileError> {
    // Nobody else makes names here, so nothing comes between the look and the rename.
    match fs::symlink_metadata(to) {
        Ok(_) => return Err(failed("replace", to)(ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("look at", to)(error)),
    }
    fs::rename(from, to).map_err(failed("rename", from))?;
    sync_folder(folder_of(to))?;
    if folder_of(from) == folder_of(to) { Ok(()) } else { sync_folder(folder_of(from)) }
}

/// Removes a file, a link, or a folder with all that is in it; none is fine. Links are not followed.
pub fn remove_tree(path: &Path) -> Result<(), FileError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The content of `path`; `None` if there is no such file.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let mut content = Vec::new();
    file.take(LARGEST_READ + 1).read_to_end(&mut content).map_err(failed("read", path))?;
    if content.len() as u64 > LARGEST_READ {
        return Err(failed("read", path)(io::Error::other(format!("it has more than {LARGEST_READ} bytes"))));
    }
    Ok(Some(content))
}

/// As [`read`], as text. Bytes that are no UTF-8 can only stand in a user's comment or value that the agent does
/// not understand anyway.
pub fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    Ok(read(path)?.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

/// Makes a folder and those above it; one that is there stays as it is, whoever owns it.
pub fn ensure_folder(path: &Path, mode: u32) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        ensure_folder(above, mode)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        result => result.map_err(failed("make", path))?,
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
    sync_folder(folder_of(path))
}

/// Removes a file; none is fine.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[tokio::test]
    async fn a_write_replaces_the_whole_content_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.conf");
        fs::write(folder.path().join(".broker.conf.new"), "left by a killed agent").unwrap();
        write(&file, "a long content", 0o664).await.unwrap();
        write(&file, "short", 0o664).await.unwrap();
        assert_eq!(read_text(&file).unwrap().as_deref(), Some("short"));
        assert_eq!(mode(&file), 0o664);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_failed_write_keeps_the_former_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("broker.conf");
        write(&file, "former", 0o664).await.unwrap();
        // A folder in the temporary file's place cannot be removed as a file.
        fs::create_dir(folder.path().join(".broker.conf.new")).unwrap();
        let error = write(&file, "new", 0o664).await.unwrap_err();
        assert!(error.to_string().contains(".broker.conf.new"), "{error}");
        assert_eq!(read_text(&file).unwrap().as_deref(), Some("former"));
    }

    #[test]
    fn folders_are_made_with_their_mode_and_kept_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("logs/demo-0-master");
        ensure_folder(&deep, 0o775).unwrap();
        assert_eq!((mode(&deep), mode(deep.parent().unwrap())), (0o775, 0o775));
        fs::set_permissions(&deep, Permissions::from_mode(0o700)).unwrap();
        ensure_folder(&deep, 0o775).unwrap();
        assert_eq!(mode(&deep), 0o700);
    }

    #[test]
    fn a_draft_that_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (temporary, file) = (folder.path().join("draft"), folder.path().join("export.tar"));
        let mut draft = Draft::begin(&temporary, 0o600).unwrap();
        draft.write_all(b"half").unwrap();
        drop(draft);
        assert_eq!(names_in(folder.path()).unwrap(), [""; 0]);

        let mut draft = Draft::begin(&temporary, 0o600).unwrap();
        draft.write_all(b"whole").unwrap();
        let mut text = String::new();
        draft.read_again().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "whole");
        draft.keep_as(&file).unwrap();
        assert_eq!(names_in(folder.path()).unwrap(), ["export.tar"]);
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_folder_appears_whole_and_in_nothings_place() {
        let folder = tempfile::tempdir().unwrap();
        let (temporary, config) = (folder.path().join("config.tmp"), folder.path().join("config"));
        fs::create_dir_all(temporary.join("left/by a killed agent")).unwrap();
        let draft = DraftFolder::begin(&temporary, 0o775).unwrap();
        let fill = |out: &mut dyn Write| out.write_all(b"{}").map_err(failed("write", &temporary));
        draft.add("topics.json", 0o664, fill).unwrap();
        assert!(draft.add("topics.json", 0o664, fill).is_err(), "a name twice");
        draft.keep_as(&config).unwrap();
        assert_eq!(fs::read(config.join("topics.json")).unwrap(), b"{}");
        assert_eq!((mode(&config), mode(&config.join("topics.json"))), (0o775, 0o664));

        let second = DraftFolder::begin(&temporary, 0o775).unwrap();
        let error = second.keep_as(&config).unwrap_err();
        assert_eq!(error.source.kind(), ErrorKind::AlreadyExists);
        assert_eq!(names_in(folder.path()).unwrap(), ["config"]);
        assert_eq!(names_in(&config).unwrap(), ["topics.json"]);
    }

    #[test]
    fn links_are_neither_followed_nor_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::create_dir(&target).unwrap();
        fs::write(target.join("kept"), "").unwrap();
        symlink(&target, &link).unwrap();
        remove_tree(&link).unwrap();
        assert_eq!(names_in(&target).unwrap(), ["kept"]);

        let (file, link) = (target.join("kept"), folder.path().join("file"));
        symlink(&file, &link).unwrap();
        assert!(GrowingFile::open(&link, 0o600).is_err());
        assert!(open(&link).is_err());
        let mut draft = Draft::begin(&link, 0o600).unwrap();
        draft.write_all(b"elsewhere").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"");
    }

    #[test]
    fn a_growing_file_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incoming");
        GrowingFile::open(&path, 0o600).unwrap().append(b"one ").unwrap();
        let mut file = GrowingFile::open(&path, 0o600).unwrap();
        assert_eq!(file.length().unwrap(), 4);
        file.append(b"two").unwrap();
        file.sync().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
    }

    #[test]
    fn what_is_not_there_reads_as_none_and_is_gone_already() {
        let nowhere = Path::new("/nonexistent/file");
        assert!(read(nowhere).unwrap().is_none());
        assert!(open(nowhere).unwrap().is_none());
        assert!(names_in(nowhere).unwrap().is_empty());
        remove(nowhere).unwrap();
        remove_tree(nowhere).unwrap();
    }
}
