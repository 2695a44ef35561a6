//! The list of what counts, from what its own records and the directory still tell.
//!
//! What a lost checkpoint said is what the records before it add up to. Where an edit is lost, an earlier
//! state is right as long as nothing was removed since: every segment that it lists is there, and the log
//! still has every record above its watermark (I-4), so that an open does again what the lost edit did.
//! Anything else would bring back what was deleted, so it is left to a backup.

use obsrv_wal::io::{FileId, FileKind};
use obsrv_wal::log::{Log, RecoverError};

use super::{RepairError, Work};
use crate::engine::chain;
use crate::engine::check::wal_options;
use crate::engine::open::OpenError;
use crate::manifest::{self, FormatError, ManifestError, Salvaged, State};

/// Why an earlier manifest is not taken, where nobody can say better.
const LEFT: &str = "the manifest alone says which segments and rows count: restore a backup";

impl Work<'_> {
    /// None: it cannot be had.
    pub(super) fn manifest(&mut self) -> Result<Option<State>, RepairError> {
        let error = match self.read_manifest() {
            Ok(state) => return Ok(Some(state)),
            Err(error) => error,
        };
        self.report.found.push(chain(&error));
        match self.earlier(&error) {
            Ok(salvaged) => self.write_manifest(salvaged).map(Some),
            Err(why) => {
                self.report.left.push(why);
                Ok(None)
            }
        }
    }

    fn read_manifest(&self) -> Result<State, OpenError> {
        let is_manifest = |file: &FileId| file.kind == FileKind::Manifest;
        if !self.files.iter().any(is_manifest) {
            return Err(OpenError::NoManifest);
        }
        let (_, state) = manifest::read(self.disk, self.database)?;
        Ok(state)
    }

    /// A state that lost nothing, or why there is none.
    fn earlier(&self, error: &OpenError) -> Result<Salvaged, String> {
        match error {
            OpenError::Manifest(
                ManifestError::Recover(RecoverError::Version { .. })
                | ManifestError::Format {
                    source: FormatError::Version(_),
                    ..
                },
            ) => return Err("the manifest is of another version of obsrv".to_owned()),
            OpenError::Manifest(ManifestError::Recover(RecoverError::Io { file, .. })) => {
                return Err(format!("{file} cannot be read now, so it is not replaced"));
            }
            _ => {}
        }
        let salvaged = manifest::salvage(self.disk, self.database).map_err(|e| e.to_string())?;
        let salvaged = salvaged.ok_or(LEFT)?;
        if !salvaged.is_whole {
            self.refuse_removed(&salvaged.state)?;
        }
        Ok(salvaged)
    }

    /// Refuses a state since which something was removed.
    fn refuse_removed(&self, state: &State) -> Result<(), String> {
        let is_there = |number: &u64| {
            let file = FileId::new(FileKind::Segment, *number);
            self.files.contains(&file)
        };
        if let Some(gone) = state.segments.keys().find(|number| !is_there(number)) {
            return Err(format!(
                "an edit of the manifest is lost that removed segment-{gone:016x}: restore a backup"
            ));
        }
        let mut bad = std::collections::BTreeMap::new();
        let recovered = Log::recover(self.disk, wal_options(self.database), &mut |r| {
            if r.lsn > state.watermark {
                self.check_side(r.lsn, r.kind, r.body, &mut bad);
            }
        });
        let covered = recovered.and_then(|log| state.check_log(&log.begun()?));
        let lost =
            "an edit of the manifest is lost, and so are records that it let go: restore a backup";
        match covered {
            Ok(()) if bad.is_empty() => Ok(()),
            _ => Err(lost.to_owned()),
        }
    }

    fn write_manifest(&mut self, salvaged: Salvaged) -> Result<State, RepairError> {
        let last = salvaged.last;
        let how = if salvaged.is_whole {
            "from the records that read, which tell all of it"
        } else {
            "as it was before a lost edit, since which nothing was removed"
        };
        self.report
            .done
            .push(format!("manifest written anew {how} lsn={}", last + 1));
        if self.aside.is_some() {
            let unlisted = |file: &&FileId| match file.kind {
                FileKind::Manifest => true,
                // Rows that are in the log, too: the next open takes these files away.
                FileKind::Segment => !salvaged.state.segments.contains_key(&file.number),
                _ => false,
            };
            let kept = self.files.iter().filter(unlisted);
            kept.copied().try_for_each(|file| self.keep(file))?;
            manifest::replace(self.disk, self.database, &salvaged)?;
            self.files = self.disk.list().map_err(|source| OpenError::Io {
                what: "list",
                source,
            })?;
        }
        Ok(salvaged.state)
    }
}
