#!lua flags=allow-oom
-- leave: a worker ends and knows no kind any more.
-- args: worker
-- gives: left
-- emits:
call('HDEL', tag .. ':workers', args.worker)
return cmsgpack.pack('left')
