/**
 * One unary gRPC call on a stream of HTTP/2 (gRPC over HTTP2, PROTOCOL-HTTP2.md): a request message in a frame of five bytes and its
 * content, an answer in the same form, and a status in the trailers, or in the headers where there is no answer.
 */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import type { Codec } from './codecs.ts';
import type { GrpcStatus } from './grpc-errors.ts';
import { LARGEST_ANSWER_BYTES } from './limits.ts';
import type { UnaryCall } from './line.ts';
import type { UnaryMethod, UnaryMethods } from './protocol.ts';

/** A byte that says whether the message is compressed, and four of its length. */
const FRAME_HEADER_BYTES = 5;

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;

/** gRPC's status codes that are given here. */
const CODE = { ok: 0, cancelled: 1, resourceExhausted: 8, internal: 13, unavailable: 14 } as const;

/** Sends the request. Throws what node:http2 throws if the session is over; nothing was sent then. */
export function call<M extends UnaryMethod>(
  session: ClientHttp2Session,
  codec: Codec<M>,
  request: UnaryMethods[M]['request'],
  headers: OutgoingHttpHeaders,
): UnaryCall<UnaryMethods[M]['response']> {
  const message = codec.encode(request);
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, FRAME_HEADER_BYTES);
  const stream = session.request(headers);
  stream.end(frame);
  return { answer: answerOf(stream, codec), cancel: () => stream.close(NGHTTP2_CANCEL) };
}

async function answerOf<M extends UnaryMethod>(
  stream: ClientHttp2Stream,
  codec: Codec<M>,
): Promise<{ readonly response: UnaryMethods[M]['response'] } | { readonly status: GrpcStatus }> {
  const { chunks, bytes, status, httpStatus, failure } = await received(stream);
  if (status !== undefined && status.code !== CODE.ok) return { status };
  if (status === undefined) return { status: failure ?? withoutStatus(stream, httpStatus) };
  const answer = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, bytes);
  const isWhole = bytes >= FRAME_HEADER_BYTES && bytes === FRAME_HEADER_BYTES + answer.readUInt32BE(1);
  if (!isWhole || answer[0] !== 0) {
    return { status: { code: CODE.internal, details: `An answer of ${bytes} bytes is no message of gRPC` } };
  }
  try {
    return { response: codec.decode(answer.subarray(FRAME_HEADER_BYTES)) };
  } catch (error) {
    return { status: { code: CODE.internal, details: `An answer cannot be read: ${String(error)}` } };
  }
}

interface Received {
  readonly chunks: readonly Buffer[];
  readonly bytes: number;
  readonly httpStatus: number | undefined;
  readonly status: GrpcStatus | undefined;
  readonly failure: GrpcStatus | undefined;
}

/** Everything that came, once the stream is closed, which it is in any case in the end. */
function received(stream: ClientHttp2Stream): Promise<Received> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let httpStatus: number | undefined;
    let status: GrpcStatus | undefined;
    let failure: GrpcStatus | undefined;
    stream.on('response', (headers) => {
      httpStatus = headers[':status'];
      status = statusOf(headers);
    });
    stream.on('trailers', (headers: IncomingHttpHeaders) => {
      status = statusOf(headers) ?? status;
    });
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes <= LARGEST_ANSWER_BYTES) return;
      failure = {
        code: CODE.resourceExhausted,
        details: `Received message larger than max (${LARGEST_ANSWER_BYTES} bytes)`,
      };
      stream.close(NGHTTP2_CANCEL);
    });
    stream.on('error', ({ message }) => {
      failure ??= { code: CODE.unavailable, details: `The connection broke: ${message}` };
    });
    stream.once('close', () => resolve({ chunks, bytes, httpStatus, status, failure }));
  });
}

/** What gRPC says of the call, if it does. */
function statusOf(headers: IncomingHttpHeaders): GrpcStatus | undefined {
  const code = headers['grpc-status'];
  if (code === undefined) return undefined;
  const message = headers['grpc-message'];
  return { code: Number(code), details: typeof message === 'string' ? unescaped(message) : '' };
}

/** gRPC percent-encodes the message. One that is not well-formed is shown as it is. */
function unescaped(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

/** The stream ended, and gRPC has said nothing: by whose hand, the code of the reset tells, or HTTP's status. */
function withoutStatus({ rstCode }: ClientHttp2Stream, httpStatus: number | undefined): GrpcStatus {
  if (rstCode === NGHTTP2_CANCEL) return { code: CODE.cancelled, details: 'The call was cancelled' };
  if (rstCode === NGHTTP2_REFUSED_STREAM) return { code: CODE.unavailable, details: 'The stream was refused' };
  if (httpStatus !== undefined && httpStatus !== 200) {
    return { code: CODE.unavailable, details: `Somebody who speaks no gRPC answered with HTTP status ${httpStatus}` };
  }
  return { code: CODE.unavailable, details: `The stream was closed without an answer (code ${rstCode})` };
}
