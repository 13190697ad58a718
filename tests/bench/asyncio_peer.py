"""What corod is compared with: the same in one process with asyncio, nothing durable. Prints seconds.

  asyncio_peer.py WHAT COUNT
"""
import asyncio
import random
import sys
import time


async def commands(count):
    limit = asyncio.Semaphore(8)

    async def one():
        async with limit:
            process = await asyncio.create_subprocess_exec("/bin/true", stdin=asyncio.subprocess.DEVNULL)
            await process.wait()

    await asyncio.gather(*(one() for _ in range(count)))


async def sleepers(count):
    await asyncio.gather(*(asyncio.sleep(1) for _ in range(count)))


async def switches(count):
    async def one():
        for _ in range(count // 1000):
            await asyncio.sleep(0)

    await asyncio.gather(*(one() for _ in range(1000)))


async def queue(count, maxsize=0):
    q = asyncio.Queue(maxsize)

    async def put():
        for i in range(count):
            await q.put(i)

    async def get():
        for _ in range(count):
            await q.get()

    await asyncio.gather(put(), get())


async def queue10(count):
    await queue(count, 10)


random.seed(1)
began = time.monotonic()
asyncio.run(globals()[sys.argv[1]](int(sys.argv[2])))
print(time.monotonic() - began)
