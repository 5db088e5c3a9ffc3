// What is used of Electron, as its documents have it; nothing of it is imported.

/** `electron.Session`, as far as it is used. */
export interface PreviewSession {
  setProxy(config: { mode?: 'system'; proxyRules?: string; proxyBypassRules?: string }): Promise<void>;
  /** Connections that were made before go on without the proxy otherwise. */
  closeAllConnections?(): Promise<void>;
}

/** `electron.WebContents`, as far as it is used. */
export interface PreviewWebContents {
  readonly id: number;
  readonly session: PreviewSession;
  isDestroyed(): boolean;
  once(event: 'destroyed', listener: () => void): unknown;
  removeListener(event: 'destroyed', listener: () => void): unknown;
}

/** Who hears what happens. */
export interface PreviewLogger {
  log?(message: string, details?: object): void;
  warn?(message: string, details?: object): void;
}

/** A view that is to show pages of a workspace. */
export interface PreviewView {
  readonly webContents: PreviewWebContents;
  /** The page that it will show first: its host says which workspace that is. */
  readonly initialUrl: string;
  /** Domains below which workspaces are, beside those that {@link previewRoute} knows. */
  readonly domains?: readonly string[] | undefined;
  /** Names what the view keeps, for the log. */
  readonly persistKey?: string | undefined;
  /** `false` leaves the view alone, for an app that keeps another proxy beside this one. The default is `true`. */
  readonly enabled?: boolean | undefined;
  readonly logger?: PreviewLogger | undefined;
}

/** What the `login` handler of the app gives Chromium. */
export interface ProxyCredentials {
  readonly username: string;
  readonly password: string;
}

/** What `setCertificateVerifyProc` tells, as far as it is used. */
export interface CertificateVerifyRequest {
  readonly hostname: string;
  /** `data`: PEM. */
  readonly certificate: { readonly data: string };
}
