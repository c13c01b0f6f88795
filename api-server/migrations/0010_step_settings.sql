-- What the template of a job says about a step beyond its type (JSON): scripts, inputs, what follows a failure.
ALTER TABLE steps ADD COLUMN settings TEXT;
