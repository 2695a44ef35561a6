-- One statement a line.
CREATE INDEX ON spans (project, start_ns DESC);
CREATE INDEX ON spans (project, start_ns DESC) WHERE parent_id = '';
CREATE INDEX ON spans (project, start_ns DESC) WHERE status = 'error';
CREATE INDEX ON spans USING hash (trace_id);
CREATE INDEX ON spans (project, session) WHERE parent_id = '';
CREATE INDEX ON spans (tool, duration_ns DESC) WHERE status = 'error';
CREATE INDEX ON spans USING gin (extra jsonb_path_ops);
CREATE INDEX ON spans USING gin (to_tsvector('simple', input || ' ' || output));
